"""What is read tolerantly, what never is, and what is done about firmware that departs."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.client.conftest import PIN, Opened
from tests.support.fake_link import (
    GET_INFO,
    FakeLink,
    Person,
    SteeredClock,
    info,
    ok,
    session_on,
)

from fidokit import cbor
from fidokit.client import tolerance
from fidokit.client.credentials import resident
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.credentials.signature import sign
from fidokit.client.owner import config, pin
from fidokit.client.ports import CBOR, NMSG, Link
from fidokit.client.session import Session
from fidokit.client.tolerance import DEPARTURES
from fidokit.errors import (
    Interrupted,
    NotTaken,
    PinAuthBlocked,
    TokenMisbehaved,
    TokenRefused,
    TouchTimedOut,
)
from fidokit.openssh.keys.private import SkPrivate
from fidokit.types import Application, CtapCommand, KeyType, Transport
from fidokit.virtual.token import VirtualToken

HOME = Application("ssh:")
PAGE = Path(__file__).parents[2] / "docs/tolerance.md"
Keepalive = Callable[[int], None]
Canceled = Callable[[], bool]


# --- the page and the code ---------------------------------------------------------------------


def test_the_page_has_every_departure_and_what_is_never_tolerated() -> None:
    page = PAGE.read_text()
    for name, departure in DEPARTURES.items():
        assert f"`{name}`" in page, name
        assert departure.sentence in page, name
        assert departure.remedy in page, name
    for never in tolerance.NEVER:
        assert never in page, never


def test_options_out_of_order() -> None:
    members = dict(GET_INFO)
    tidy = cbor.encode(members)
    turned = b"\xa7" + b"".join(
        cbor.encode(key) + cbor.encode(members[key]) for key in reversed(members)
    )
    session = session_on(FakeLink(b"\0" + turned))
    assert session.info == session_on(FakeLink(b"\0" + tidy)).info
    assert session.departures == (tolerance.CBOR_ORDER,)


# --- what is not told --------------------------------------------------------------------------


def test_algorithms_that_are_not_told_are_offered_both() -> None:
    with VirtualToken(profile="ctap2.0", presence="auto") as token:
        session = session_on(token.link(), Person(PIN))
        wanted = Enrollment(KeyType.ED25519_SK, HOME, or_types=(KeyType.ECDSA_SK,))
        made = enroll(session, wanted)
        assert made.public.key_type in wanted.types
        assert session.info.algorithms or tolerance.ALGORITHMS_UNTOLD in session.departures


def test_what_the_token_makes_is_taken_where_both_will_do() -> None:
    """Ed25519 is preferred, and this token makes only P-256."""
    with VirtualToken(presence="auto") as token:
        real = token.link()

        def only_p256(request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
            if request[0] != CtapCommand.MAKE_CREDENTIAL:
                return real.cbor(request, keepalive, canceled)
            members = cbor.decode(request[1:])
            assert isinstance(members, dict)
            offered = members[4]
            assert isinstance(offered, list)
            assert [entry["alg"] for entry in offered if isinstance(entry, dict)] == [-8, -7]
            members[4] = offered[1:]
            return real.cbor(request[:1] + cbor.encode(members), keepalive, canceled)

        untold = ok({key: value for key, value in GET_INFO.items() if key != 10})
        session = session_on(FakeLink(untold, only_p256))
        assert session.info.supports(KeyType.ED25519_SK) is None
        wanted = Enrollment(KeyType.ED25519_SK, HOME, or_types=(KeyType.ECDSA_SK,))
        assert enroll(session, wanted).public.key_type is KeyType.ECDSA_SK
        assert session.departures == (tolerance.ALGORITHMS_UNTOLD,)


@pytest.mark.parametrize("status", [0x01, 0x11, 0x7F, 0xF1])
def test_a_refused_getinfo_falls_back_to_u2f(status: int) -> None:
    session = session_on(FakeLink(bytes([status]), apdus=(b"U2F_V2\x90\0",)))
    assert session.info.is_u2f_only
    assert session.departures == (tolerance.GET_INFO_REFUSED,)


@pytest.mark.parametrize(
    "link",
    [
        FakeLink(b"\x01", apdus=(b"\x6d\x00",)),
        FakeLink(b"\x01", apdus=(b"other\x90\x00",)),
        FakeLink(b"\x01"),
        FakeLink(b"\x01", apdus=(b"U2F_V2\x90\0",), capabilities=CBOR | NMSG),
    ],
    ids=["refuses that too", "answers something else", "is gone", "says that it has no U2F"],
)
def test_no_fall_back_without_u2f(link: FakeLink) -> None:
    from fidokit.errors import FidokitError

    with pytest.raises(FidokitError):
        _ = session_on(link).info


# --- proofs that die ---------------------------------------------------------------------------


class Forgetful:
    """A link whose token answers PIN_AUTH_INVALID once to each command of a kind."""

    def __init__(self, link: Link, *commands: int, times: int = 1) -> None:
        self.capabilities = link.capabilities
        self.msg, self.wink, self.close = link.msg, link.wink, link.close
        self._link = link
        self._left = dict.fromkeys(commands, times)

    def cbor(self, request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        if self._left.get(request[0], 0):
            self._left[request[0]] -= 1
            return b"\x33"
        return self._link.cbor(request, keepalive, canceled)


WANTED = Enrollment(KeyType.ECDSA_SK, HOME, user="x", resident=True)
USES: dict[str, tuple[int, Callable[[Session], object]]] = {
    "list": (0x0A, resident.list_credentials),
    "count": (0x0A, resident.remaining),
    "delete": (0x0A, lambda s: resident.delete(s, resident.list_credentials(s)[0])),
    "settings": (0x0D, lambda s: pin.set_min_pin_length(s, 6)),
    "make": (0x01, lambda s: enroll(s, replace(WANTED, replace=True))),
    "look": (0x02, lambda s: enroll(s, replace(WANTED, user="y"))),
}


@pytest.mark.parametrize("name", USES)
def test_a_stale_proof_is_renewed_once(token: VirtualToken, with_pin: Opened, name: str) -> None:
    enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, HOME, resident=True))
    command, use = USES[name]
    session = session_on(Forgetful(token.link(), command), Person(PIN))
    use(session)
    assert tolerance.PROOF_DIED in session.departures
    twice = session_on(Forgetful(token.link(), command, times=2), Person(PIN))
    with pytest.raises(Exception, match="did not accept the proof"):
        use(twice)


def test_a_proof_that_dies_within_a_list(token: VirtualToken, with_pin: Opened) -> None:
    for user in "abc":
        enroll(with_pin(), Enrollment(KeyType.ECDSA_SK, HOME, user=user, resident=True))
    real = token.link()
    died: list[bytes] = []

    def dying(request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        if request == b"\x0a" + cbor.encode({1: 5}) and not died:
            died.append(request)
            return b"\x33"
        return real.cbor(request, keepalive, canceled)

    session = session_on(FakeLink(*[dying] * 40), Person(PIN))
    assert {key.user for key in resident.list_credentials(session)} == {"a", "b", "c"}
    assert died


# --- the lock after three wrong PINs -----------------------------------------------------------


def test_a_lock_that_is_shown_after_the_replug_is_asked(with_pin: Opened) -> None:
    """The right PIN is sent, and opens it."""
    token = with_pin()
    real = token.connection._channel._link

    def still_locked(request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        if request[0] == 6 and cbor.decode(request[1:])[2] == 1:  # type: ignore[index]
            return ok({3: 5, 4: True})
        return real.cbor(request, keepalive, canceled)

    session = session_on(FakeLink(*[still_locked] * 9), Person(PIN))
    pin.verify_pin(session)
    assert session.departures == (tolerance.PIN_LOCK_KEPT,)


def test_a_lock_that_is_meant_costs_nothing(token: VirtualToken, with_pin: Opened) -> None:
    with pytest.raises(PinAuthBlocked):
        pin.verify_pin(with_pin(Person("wrong1", "wrong2", "wrong3", PIN)))
    for _ in range(5):
        with pytest.raises(PinAuthBlocked):
            pin.verify_pin(with_pin())
    assert pin.pin_status(with_pin()).retries == 5
    token.power_cycle()
    pin.verify_pin(with_pin())


def test_a_lock_says_whether_the_pin_was_wrong(token: VirtualToken, with_pin: Opened) -> None:
    """Pico FIDO compares, and counts, while it shows the lock."""
    with pytest.raises(PinAuthBlocked) as third:
        pin.verify_pin(with_pin(Person("wrong1", "wrong2", "wrong3", PIN)))
    with pytest.raises(PinAuthBlocked) as later:
        pin.verify_pin(with_pin())
    assert "this one was wrong" not in later.value.hint
    counts = iter((5, 4, 2, 1))

    def blocked(request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        asked = cbor.decode(request[1:])[2] if request[0] == 6 else 0  # type: ignore[index]
        if asked == 1:
            return ok({3: next(counts), 4: True})
        if asked in {5, 9}:
            return b"\x34"
        return token.link().cbor(request, keepalive, canceled)

    session = session_on(FakeLink(*[blocked] * 20), Person("wrong4", "wrong5"))
    for left in ("4 tries are", "1 try is"):
        with pytest.raises(PinAuthBlocked, match="three wrong PINs") as refused:
            pin.verify_pin(session)
        assert f"this one was wrong, {left} left" in refused.value.hint
    assert "this one was wrong, 5 tries are left" in third.value.hint


MADE_UP = hashlib.sha256(HOME.encode()).digest() + b"\1\0\0\0\7"


class MadeUp(Forgetful):
    """Answers the first assertions about another key, whatever is proved."""

    left = 1

    def cbor(self, request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        answer = self._link.cbor(request, keepalive, canceled)
        if request[0] == 4:
            members = cbor.decode(answer[1:])
            assert isinstance(members, dict)
            options = members[4]
            assert isinstance(options, dict)
            return ok({**members, 4: {**options, "alwaysUv": True}})
        if request[0] != 2 or self.left == 0:
            return answer
        self.left -= 1
        return ok({1: {"id": b"another", "type": "public-key"}, 2: MADE_UP, 3: b"made up"})


@pytest.mark.parametrize("lies", [1, 2, 3])
def test_a_made_up_assertion_is_not_believed(
    token: VirtualToken, with_pin: Opened, lies: int
) -> None:
    """The PIN unlocks it, or is proved; a third one is the token's fault."""
    made = enroll(with_pin(), Enrollment(KeyType.ED25519_SK, HOME))
    made_private = SkPrivate(made.public, made.flags, made.key_handle)
    link = MadeUp(token.link())
    link.left = lies
    person = Person(PIN, PIN)
    session = session_on(link, person)
    if lies == 3:
        with pytest.raises(TokenMisbehaved, match="another key"):
            sign(session, made_private, b"message")
    else:
        signed = sign(session, made_private, b"message")
        assert signed.user_verified is (lies == 2)
    assert session.departures == (tolerance.MADE_UP_ASSERTION,)
    assert len(person.asked) == (1 if lies == 1 else 2)


# --- settings ----------------------------------------------------------------------------------


class Deaf(Forgetful):
    """Says yes to every change of a setting, and changes nothing."""

    def cbor(self, request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        return ok() if request[0] == 0x0D else self._link.cbor(request, keepalive, canceled)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: config.set_always_uv(s, True),
        config.enable_long_touch_reset,
        pin.force_pin_change,
        lambda s: pin.set_min_pin_length(s, 8),
        lambda s: pin.set_min_pin_length(s, 4, force_change=True),
    ],
)
def test_a_setting_that_did_not_take(
    token: VirtualToken, with_pin: Opened, change: Callable[[Session], object]
) -> None:
    with_pin()
    with pytest.raises(NotTaken, match="did not apply it"):
        change(session_on(Deaf(token.link()), Person(PIN)))


def test_a_pin_that_did_not_take(token: VirtualToken) -> None:
    class NoPin(Forgetful):
        def cbor(self, request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
            if request[0] == 6 and cbor.decode(request[1:])[2] == 3:  # type: ignore[index]
                return ok()
            return self._link.cbor(request, keepalive, canceled)

    from fidokit.client.ports import PinCode

    with pytest.raises(NotTaken):
        pin.set_pin(session_on(NoPin(token.link())), PinCode.parse(PIN))


# --- always-uv ---------------------------------------------------------------------------------


def test_always_uv_that_is_not_enforced_asks_for_no_pin(token: VirtualToken) -> None:
    made = enroll(session_on(token.link()), Enrollment(KeyType.ED25519_SK, HOME))

    class Claims(Forgetful):
        def cbor(self, request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
            if request == b"\x04":
                return info(alwaysUv=True, clientPin=True)
            return self._link.cbor(request, keepalive, canceled)

    person = Person(PIN)
    session = session_on(Claims(token.link()), person)
    sign(session, SkPrivate(made.public, made.flags, made.key_handle), b"message")
    assert person.asked == []
    assert session.departures == (tolerance.ALWAYS_UV_IDLE,)


def test_always_uv_that_is_enforced_is_proved(with_pin: Opened) -> None:
    made = enroll(with_pin(), Enrollment(KeyType.ED25519_SK, HOME))
    config.set_always_uv(with_pin(), True)
    person = Person(PIN)
    session = with_pin(person)
    signature = sign(session, SkPrivate(made.public, made.flags, made.key_handle), b"message")
    assert signature.flags & 4
    assert len(person.asked) == 1
    assert session.departures == ()


# --- lists -------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [ok(), ok({}), ok({5: 0})])
def test_an_empty_list_in_any_form(token: VirtualToken, with_pin: Opened, reply: bytes) -> None:
    with_pin()

    class Empty(Forgetful):
        def cbor(self, request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
            return reply if request[0] == 0x0A else self._link.cbor(request, keepalive, canceled)

    session = session_on(Empty(token.link()), Person(PIN))
    assert resident.list_credentials(session) == []
    assert session.departures == (tolerance.EMPTY_LIST,)


# --- touches -----------------------------------------------------------------------------------


def test_no_notice_of_a_touch_that_nobody_asked_for(token: VirtualToken, with_pin: Opened) -> None:
    with_pin()

    class Eager(Forgetful):
        def cbor(self, request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
            if request[0] == 2:
                keepalive(2)
            return self._link.cbor(request, lambda _status: None, canceled)

    person = Person(PIN)
    session = session_on(Eager(token.link()), person)
    enroll(session, Enrollment(KeyType.ECDSA_SK, HOME, resident=True))
    assert "looking for a key of the same name" not in person.touches
    assert session.departures == (tolerance.TOUCH_NOTICE,)


def late(token: VirtualToken, clock: SteeredClock) -> FakeLink:
    """A token that is touched in the moment in which its user is given up."""
    real = token.link()

    def touched_late(request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        if request[0] not in (1, 2):
            return real.cbor(request, keepalive, canceled)
        keepalive(2)
        told = threading.Event()
        while not canceled():
            clock.advance(1.0)
            told.wait(0.001)
        return real.cbor(request, keepalive, lambda: False)

    return FakeLink(*[touched_late] * 9)


def test_a_touch_in_the_moment_of_giving_up_loses_no_credential(token: VirtualToken) -> None:
    clock = SteeredClock()
    patience = clock.patience(total=20.0, grace=1000.0)
    session = session_on(late(token, clock), Person(PIN), patience)
    made = enroll(session, Enrollment(KeyType.ED25519_SK, HOME))
    sign(
        session_on(token.link()),
        SkPrivate(made.public, made.flags, made.key_handle),
        b"message",
    )
    # a signature after giving up is not wanted any more
    with pytest.raises(TouchTimedOut):
        sign(session, SkPrivate(made.public, made.flags, made.key_handle), b"message")


def test_a_key_that_may_have_been_made_is_named(token: VirtualToken, with_pin: Opened) -> None:
    with_pin()
    real = token.link()

    def gone_late(request: bytes, keepalive: Keepalive, canceled: Canceled) -> bytes:
        if request[0] != 1:
            return real.cbor(request, keepalive, canceled)
        raise Interrupted("interrupted")

    session = session_on(FakeLink(*[gone_late] * 9), Person(PIN))
    wanted = Enrollment(KeyType.ED25519_SK, Application("ssh:work"), user="me", resident=True)
    with pytest.raises(Interrupted) as caught:
        enroll(session, wanted)
    assert "'ssh:work', user 'me': see `fidokit key list`" in caught.value.hint


@pytest.mark.parametrize(
    ("transport", "hint"),
    [
        (Transport.USB, "unplug it"),
        (Transport.PCSC, "unplug it"),
        (Transport.SOCKET, "fidokit virtual serve"),
        (Transport.VIRTUAL, "fidokit virtual serve"),
    ],
)
def test_a_reset_too_late_says_how_to_power_up(transport: Transport, hint: str) -> None:
    session = session_on(FakeLink(ok(GET_INFO), b"\x30"))
    session.connection.transport = transport
    with pytest.raises(TokenRefused) as caught:
        session.reset()
    assert hint in caught.value.hint


# --- who is to blame ---------------------------------------------------------------------------


@pytest.mark.parametrize("defect", [AttributeError, TypeError, KeyError, ZeroDivisionError])
def test_a_defect_of_our_own_is_not_blamed_on_the_token(defect: type[Exception]) -> None:
    link = FakeLink(defect("ours"))
    with pytest.raises(defect, match="ours"):
        _ = session_on(link).info


def test_rubbish_is_blamed_on_the_token() -> None:
    with pytest.raises(TokenMisbehaved):
        _ = session_on(FakeLink(b"\0\xa2\x01\0\x01\0")).info
