"""The life of a blob with keys, PIN and all, on the virtual token, in both ways of keeping one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.client.conftest import PATIENT, PIN
from tests.support.fake_link import FakeLink, Person, info, ok, session_on
from tests.support.spy import Spy

from fidokit import cbor
from fidokit.client.blobs import credential_blobs, large_blobs
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.resident import ResidentCredential
from fidokit.client.owner import pin
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.errors import (
    CredentialNotFound,
    Malformed,
    NotStored,
    StoreFull,
    TokenMisbehaved,
    Unsupported,
    UsageError,
)
from fidokit.types import Application, CredentialId, KeyType
from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3, CTAP_2_3_LARGE_BLOB, Profile
from fidokit.virtual.token import VirtualToken

WORK, HOME = Application("ssh:work"), Application("ssh:home")
CERTIFICATE = b"ssh-ed25519-cert-v01@openssh.com AAAA" * 10


@dataclass
class Bench:
    """A token with a PIN, and who knows it."""

    token: VirtualToken
    person: Person

    def session(self) -> Session:
        return session_on(self.token.link(), self.person, PATIENT)

    def key(self, application: Application = WORK, **wishes: Any) -> ResidentCredential:
        wish = Enrollment(
            KeyType.ECDSA_SK, application, resident=True, **{"large_blob": True, **wishes}
        )
        enroll(self.session(), wish)
        (made,) = resident.list_credentials(self.session(), application=application)
        return made


def bench_of(profile: Profile) -> Iterator[Bench]:
    with VirtualToken(profile=profile) as token:
        bench = Bench(token, Person(PIN))
        pin.set_pin(bench.session(), PinCode.parse(PIN))
        yield bench


@pytest.fixture(params=[CTAP_2_1, CTAP_2_3, CTAP_2_3_LARGE_BLOB], ids=lambda p: p.name)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    yield from bench_of(request.param)


@pytest.fixture
def with_array() -> Iterator[Bench]:
    yield from bench_of(CTAP_2_1)


@pytest.fixture
def with_extension() -> Iterator[Bench]:
    yield from bench_of(CTAP_2_3_LARGE_BLOB)


@pytest.mark.parametrize("verify_required", [False, True])
def test_from_first_to_last(bench: Bench, verify_required: bool) -> None:
    work, home = bench.key(verify_required=verify_required), bench.key(HOME)
    large_blobs.put(bench.session(), work, CERTIFICATE)
    large_blobs.put(bench.session(), home, b"home")
    assert large_blobs.get(bench.session(), work) == CERTIFICATE
    listing = large_blobs.list_blobs(bench.session(), [work, home])
    assert [(b.credential, b.size) for b in listing.blobs] == [(work, len(CERTIFICATE)), (home, 4)]
    assert (listing.others, listing.damaged) == (0, False)
    large_blobs.put(bench.session(), work, b"newer")
    bench.token.power_cycle()
    assert large_blobs.get(bench.session(), work) == b"newer"
    large_blobs.delete(bench.session(), [work])
    with pytest.raises(NotStored):
        large_blobs.get(bench.session(), work)
    with pytest.raises(NotStored):
        large_blobs.delete(bench.session(), [home, work])
    assert large_blobs.get(bench.session(), home) == b"home"


def test_an_empty_blob_is_one(bench: Bench) -> None:
    work = bench.key()
    large_blobs.put(bench.session(), work, b"")
    assert large_blobs.get(bench.session(), work) == b""


def test_a_key_made_without(bench: Bench) -> None:
    plain = bench.key(large_blob=False)
    with pytest.raises((Unsupported, NotStored)):
        large_blobs.get(bench.session(), plain)
    with pytest.raises((Unsupported, StoreFull)) as caught:
        large_blobs.put(bench.session(), plain, b"x")
    assert "--large-blob" in caught.value.hint


def test_too_much(bench: Bench) -> None:
    work = bench.key()
    large_blobs.put(bench.session(), work, b"old")
    with pytest.raises(StoreFull):
        large_blobs.put(bench.session(), work, os.urandom(5000))
    assert large_blobs.get(bench.session(), work) == b"old"


def test_changing_asks_once(with_array: Bench) -> None:
    with_array.key()
    asked = len(with_array.person.asked)
    session = with_array.session()
    large_blobs.authorize_change(session)
    (work,) = resident.list_credentials(session)
    large_blobs.put(session, work, CERTIFICATE)
    assert len(with_array.person.asked) == asked + 1


def test_large_arrays_go_in_fragments(with_array: Bench) -> None:
    work = with_array.key()
    blob = os.urandom(3000)
    spy = Spy(with_array.token.link())
    session = session_on(spy, with_array.person, PATIENT)
    large_blobs.put(session, work, blob)
    assert [2 in request for request in spy.sent(0x0C)] == [False, True, True, True]
    assert large_blobs.get(with_array.session(), work) == blob


def test_blobs_of_deleted_keys_are_orphans(with_array: Bench) -> None:
    work, home = with_array.key(), with_array.key(HOME)
    for key in (work, home):
        large_blobs.put(with_array.session(), key, CERTIFICATE)
    resident.delete(with_array.session(), work)
    session = with_array.session()
    left = resident.list_credentials(session, any_rp=True)
    assert large_blobs.list_blobs(session, left).others == 1
    assert large_blobs.delete_orphans(session, left) == 1
    assert large_blobs.list_blobs(with_array.session(), left).others == 0
    assert large_blobs.get(with_array.session(), home) == CERTIFICATE


def test_without_a_pin_none_is_asked_for() -> None:
    with VirtualToken(profile=CTAP_2_1) as token:
        person = Person(PIN)
        session = session_on(token.link(), person, PATIENT)
        large_blobs.delete_all(session)
        assert large_blobs.list_blobs(session, []).used == 17
        assert person.asked == []


def test_the_key_by_an_assertion_where_keys_cannot_be_listed() -> None:
    for profile in (CTAP_2_1.with_options(credMgmt=None, credentialMgmtPreview=None),):
        with VirtualToken(profile=profile) as token:
            bench = Bench(token, Person(PIN))
            pin.set_pin(bench.session(), PinCode.parse(PIN))
            wish = Enrollment(KeyType.ECDSA_SK, WORK, resident=True, large_blob=True)
            made = enroll(bench.session(), wish)
            owner = FileKey(CredentialId(made.key_handle))
            touches = len(bench.person.touches)
            large_blobs.put(bench.session(), owner, CERTIFICATE)
            assert large_blobs.get(bench.session(), owner) == CERTIFICATE
            assert len(bench.person.touches) > touches
            large_blobs.delete(bench.session(), [owner])
            with pytest.raises(NotStored):
                large_blobs.get(bench.session(), owner)
            with pytest.raises(CredentialNotFound):
                large_blobs.get(bench.session(), FileKey(CredentialId(b"x" * 64)))


@dataclass(frozen=True)
class FileKey:
    """A key that is known by its file alone."""

    credential_id: CredentialId
    application: Application = WORK
    verify_required: bool = False
    large_blob_key: bytes | None = None


# --- making such keys ----------------------------------------------------------------------------


def test_a_key_with_a_blob_is_resident(bench: Bench) -> None:
    session = bench.session()
    with pytest.raises(UsageError, match="resident"):
        enroll(session, Enrollment(KeyType.ECDSA_SK, WORK, large_blob=True))
    assert session.round_trips == 0


@pytest.mark.parametrize("profile", ["ctap2.0", CTAP_2_1.with_options(largeBlobs=None)])
def test_models_without(profile: str | Profile) -> None:
    with VirtualToken(profile=profile) as token:
        session = session_on(token.link(), Person(PIN), PATIENT)
        with pytest.raises(Unsupported) as caught:
            enroll(session, Enrollment(KeyType.ECDSA_SK, WORK, resident=True, large_blob=True))
        assert caught.value.hint
        for use in (
            large_blobs.require,
            large_blobs.delete_all,
            lambda s: large_blobs.list_blobs(s, []),
        ):
            with pytest.raises(Unsupported):
                use(session)
        assert session.round_trips == 1


@pytest.mark.parametrize("member", [5, 6])
def test_a_token_that_ignores_the_wish(bench: Bench, member: int) -> None:
    spy = Spy(
        bench.token.link(),
        {1: lambda answer: {k: v for k, v in answer.items() if k not in (5, 6)}},
    )
    session = session_on(spy, bench.person, PATIENT)
    with pytest.raises(TokenMisbehaved, match="large blob"):
        enroll(session, Enrollment(KeyType.ECDSA_SK, WORK, resident=True, large_blob=True))


def test_other_keys_are_made_as_ever(bench: Bench) -> None:
    spy = Spy(bench.token.link())
    session = session_on(spy, bench.person, PATIENT)
    enroll(session, Enrollment(KeyType.ECDSA_SK, WORK, resident=True))
    assert [request[6] for request in spy.sent(1)] == [{"credProtect": 2}]


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "text"])
def test_a_listed_key_that_makes_no_sense(with_array: Bench, key: object) -> None:
    with_array.key()
    bend = {0x0A: lambda answer: {**answer, 0x0B: key} if 7 in answer else answer}
    with pytest.raises(TokenMisbehaved):
        resident.list_credentials(
            session_on(Spy(with_array.token.link(), bend), with_array.person, PATIENT)
        )


# --- the extension -------------------------------------------------------------------------------


def test_there_is_no_array_to_clean(with_extension: Bench) -> None:
    for use in (large_blobs.delete_all, lambda s: large_blobs.delete_orphans(s, [])):
        with pytest.raises(Unsupported):
            use(with_extension.session())


def test_reading_needs_no_touch(with_extension: Bench) -> None:
    work = with_extension.key()
    large_blobs.put(with_extension.session(), work, CERTIFICATE)
    touches, asked = len(with_extension.person.touches), len(with_extension.person.asked)
    assert large_blobs.get(with_extension.session(), work) == CERTIFICATE
    assert len(with_extension.person.touches) == touches
    assert len(with_extension.person.asked) == asked


def output(value: object) -> bytes:
    return ok({2: bytes(37), 3: b"s", 8: {"largeBlob": value}})


LARGE_BLOB_INFO = ok({**cbor.decode(info()[1:]), 2: ["largeBlob"]})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({"blob": b"x"}, TokenMisbehaved),
        ({"blob": "x", "originalSize": 1}, TokenMisbehaved),
        ({"blob": b"x", "originalSize": -1}, TokenMisbehaved),
        ("x", TokenMisbehaved),
        ({"blob": b"x", "originalSize": 1}, Malformed),
        ({"blob": bytes(5), "originalSize": 2**31}, Malformed),
        ({}, NotStored),
    ],
)
def test_outputs_that_make_no_sense(value: object, error: type[Exception]) -> None:
    with pytest.raises(error):
        large_blobs.get(
            session_on(FakeLink(LARGE_BLOB_INFO, output(value))), FileKey(CredentialId(b"id"))
        )


@pytest.mark.parametrize("value", [{}, {"written": False}])
def test_what_was_not_written_is_an_error(value: object) -> None:
    session = session_on(FakeLink(LARGE_BLOB_INFO, output(value)))
    with pytest.raises(StoreFull):
        large_blobs.put(session, FileKey(CredentialId(b"id")), b"x")
    session = session_on(FakeLink(LARGE_BLOB_INFO, ok({2: bytes(37), 3: b"s"})))
    with pytest.raises(StoreFull):
        credential_blobs.write(session, FileKey(CredentialId(b"id")), None, "deleting")
