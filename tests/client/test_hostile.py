"""A token that answers anything at all: only our own errors come out, and nothing hangs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.client.conftest import PATIENT, PIN
from tests.client.owner.test_persistent import Shelf
from tests.support.fake_link import FakeLink, Person, info, ok, session_on
from tests.support.mutate import fuzz_count, mutants

from fidokit import cbor
from fidokit.client.blobs import large_blobs
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.signature import sign
from fidokit.client.owner import bio, config, pin
from fidokit.client.owner.persistent import Reading
from fidokit.client.ports import CBOR, PinCode
from fidokit.client.session import Session
from fidokit.errors import FidokitError
from fidokit.openssh.keys.private import SkPrivate
from fidokit.types import Application, CredentialId, CredProtect, KeyType, UserId
from fidokit.virtual.token import VirtualToken

SSH = Application("ssh:")
Keepalive = Callable[[int], None]
Canceled = Callable[[], bool]


class Damaged:
    """A link to a true token whose reply number `at` is damaged on its way."""

    capabilities = CBOR

    def __init__(self, token: VirtualToken, at: int, damage: Callable[[bytes], bytes]) -> None:
        self._link = token.link()
        self._at = at
        self._damage = damage
        self.replies = 0

    def cbor(self, request: bytes, on_keepalive: Keepalive, canceled: Canceled) -> bytes:
        reply = self._link.cbor(request, on_keepalive, canceled)
        self.replies += 1
        return self._damage(reply) if self.replies - 1 == self._at else reply

    def msg(self, apdu: bytes) -> bytes:
        return self._link.msg(apdu)

    def wink(self) -> None:
        self._link.wink()

    def close(self) -> None:
        self._link.close()


def run_enroll(session: Session) -> None:
    enroll(
        session,
        Enrollment(KeyType.ECDSA_SK, SSH, resident=True, verify_required=True, replace=True),
    )


def run_look(session: Session) -> None:
    enroll(session, Enrollment(KeyType.ED25519_SK, Application("ssh:never"), resident=True))


def run_change(session: Session) -> None:
    pin.change_pin(session, PinCode.parse(PIN), PinCode.parse(PIN))


def run_blobs(session: Session) -> None:
    large_blobs.put(session, OWNER, b"text " * 30)
    large_blobs.get(session, OWNER)
    large_blobs.list_blobs(session, [OWNER])


def run_reading(session: Session) -> None:
    session.owner.reading = Reading(Shelf(), wanted=True)
    resident.list_credentials(session)


OWNER = resident.ResidentCredential(
    CredentialId(b"id"), SSH, UserId(b""), "", "", None, CredProtect.UV_OPTIONAL, bytes(32)
)

OPERATIONS: dict[str, Callable[[Session], object]] = {
    "enroll": run_enroll,
    "look": run_look,
    "status": pin.pin_status,
    "verify": pin.verify_pin,
    "change": run_change,
    "list": partial(resident.list_credentials, any_rp=True),
    "remaining": resident.remaining,
    "always-uv": partial(config.set_always_uv, on=False),
    "select": Session.select,
    "fingers": bio.list_fingers,
    "sensor": bio.sensor,
    "blobs": run_blobs,
    "read": run_reading,
}


def power_up() -> VirtualToken:
    token = VirtualToken(presence="auto")
    pin.set_pin(session_on(token.link()), PinCode.parse(PIN))
    run_enroll(session_on(token.link(), Person(PIN)))
    return token


@pytest.mark.parametrize("name", OPERATIONS)
def test_fuzz_damaged_replies(name: str) -> None:
    """Each reply of each operation in turn, damaged in many ways."""
    token = power_up()
    honest = Damaged(token, -1, bytes)
    OPERATIONS[name](session_on(honest, Person(PIN)))
    count = max(fuzz_count(40) // honest.replies, 4)
    refused = 0
    for at, number in itertools.product(range(honest.replies), range(count)):
        link = Damaged(token, at, lambda reply, n=number: next(mutants([reply], 1, n)))  # type: ignore[misc]
        try:
            OPERATIONS[name](session_on(link, Person(PIN)))
        except FidokitError:
            refused += 1
            token.power_cycle()  # damage must not add up to a blocked PIN
        if pin.pin_status(session_on(token.link())).retries != 8:
            pin.verify_pin(session_on(token.link(), Person(PIN)))
    assert refused


WHOLE = (ok({}), ok({1: "x" * 7000}))


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"\0\xff",
        b"\0" * 100_000,
        b"\0\xa1\x01",
        b"\0\x80",
        b"\0\x44\x01",
        b"\0\xa2\x01\x01\x01\x01",
        b"\0\xa1\x01\xfb\x7f\xf8\0\0\0\0\0\0",
        b"\0" + b"\x81" * 5000,
        b"\0\xbf\x01",
        b"\x99",
        *WHOLE,
    ],
    ids=range(13),
)
def test_rubbish_in_place_of_any_reply(name: str, reply: bytes) -> None:
    token = power_up()
    honest = Damaged(token, -1, bytes)
    OPERATIONS[name](session_on(honest, Person(PIN)))
    for at in range(honest.replies):
        session = session_on(Damaged(token, at, lambda _true: reply), Person(PIN))
        try:
            OPERATIONS[name](session)
        except FidokitError:
            continue
        if session.info.is_u2f_only:  # getInfo was refused, and U2F is what is left
            continue
        assert reply in WHOLE, "only a whole map may pass, where nothing of it is read"


VALUES = st.recursive(
    st.one_of(
        st.integers(-(2**63), 2**64 - 1), st.booleans(), st.none(), st.binary(max_size=40),
        st.text(max_size=20), st.just(b"x" * 5000),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.integers(-4, 40), inner, max_size=5),
        st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.integers(0, 40), VALUES, max_size=8))
def test_any_canonical_map_as_getinfo(members: dict[int, object]) -> None:
    reply = b"\0" + cbor.encode(members)  # type: ignore[arg-type]
    try:
        found = session_on(FakeLink(reply)).info
    except FidokitError:
        return
    assert 4 <= found.min_pin_length <= 63


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 12), VALUES, max_size=6), min_size=1, max_size=3))
def test_any_canonical_maps_as_new_credential(replies: list[dict[int, object]]) -> None:
    link = FakeLink(info(), *(b"\0" + cbor.encode(r) for r in replies))  # type: ignore[arg-type]
    with pytest.raises(FidokitError):
        enroll(session_on(link), Enrollment(KeyType.ECDSA_SK, SSH))


def test_a_token_that_goes_in_the_middle() -> None:
    token = power_up()
    honest = Damaged(token, -1, bytes)
    run_enroll(session_on(honest, Person(PIN)))

    def gone(_reply: bytes) -> bytes:
        raise OSError(19, "No such device")

    for at in range(honest.replies):
        with pytest.raises(FidokitError, match="disappeared"):
            run_enroll(session_on(Damaged(token, at, gone), Person(PIN)))


@pytest.mark.parametrize("reply", [b"", b"\0", b"\0\xff", b"\x99", ok({4: b"x", 5: 0})])
def test_rubbish_in_place_of_any_sample(reply: bytes) -> None:
    """Enrolling leaves nothing behind on the token, wherever it breaks."""
    with VirtualToken() as token:
        pin.set_pin(session_on(token.link()), PinCode.parse(PIN))
        for at in range(4, 9):  # behind getInfo and the three messages about the PIN
            session = session_on(Damaged(token, at, lambda _true: reply), Person(PIN), PATIENT)
            with pytest.raises(FidokitError):
                bio.enroll_finger(session)
        left = bio.list_fingers(session_on(token.link(), Person(PIN), PATIENT))
        assert len(left) == (1 if at == 8 else 0)


def test_signing_survives_damage() -> None:
    token = power_up()
    made = enroll(session_on(token.link()), Enrollment(KeyType.ED25519_SK, SSH))
    private = SkPrivate(made.public, made.flags, made.key_handle)
    for number in range(fuzz_count(60)):
        link = Damaged(token, 1, lambda reply, n=number: next(mutants([reply], 1, n)))  # type: ignore[misc]
        try:
            signature = sign(session_on(link), private, b"m")
        except FidokitError:
            continue
        assert signature.user_present
