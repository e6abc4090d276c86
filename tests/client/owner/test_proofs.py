"""Proofs of the owner: tries, hostile answers, and Ctrl-C while the token waits."""

from __future__ import annotations

import signal
import threading

import pytest
from tests.client.conftest import PATIENT, PIN
from tests.support.fake_link import HANGING_S, FakeLink, Person, SteeredClock, info, ok, session_on

from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.client.owner import pin
from fidokit.client.owner.proofs import (
    BuiltInUv,
    Permission,
    PinToken,
    Wish,
    guard_tries,
    obtain,
    pin_retries,
    prove,
)
from fidokit.client.ports import PinCode
from fidokit.errors import (
    FidokitError,
    Interrupted,
    PinAuthBlocked,
    PinBlocked,
    PinLastTry,
    PinWrong,
    TokenMisbehaved,
    TouchTimedOut,
)
from fidokit.types import Application, KeyType
from fidokit.virtual.token import VirtualToken

CM = Permission.CREDENTIAL_MANAGEMENT
LISTING = Wish(CM, None, "listing")
SSH = Application("ssh:")
GX = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
GY = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
KEY = {1: 2, 3: -25, -1: 1, -2: GX, -3: GY}
READY = info(clientPin=True)


@pytest.mark.parametrize(
    ("answer", "found"),
    [({3: 8}, (8, False)), ({3: 5, 4: True}, (5, True)), ({3: 0, 4: False}, (0, False))],
)
def test_tries_are_read(answer: dict[object, object], found: tuple[int, bool]) -> None:
    assert pin_retries(session_on(FakeLink(READY, ok(answer))).connection) == found


@pytest.mark.parametrize("answer", [{}, {3: -1}, {3: True}, {3: "8"}, {3: 2**40}, {3: 8, 4: 1}])
def test_tries_that_make_no_sense(answer: dict[object, object]) -> None:
    with pytest.raises(TokenMisbehaved):
        pin_retries(session_on(FakeLink(READY, ok(answer))).connection)


@pytest.mark.parametrize(
    ("answer", "error"),
    [({3: 0}, PinBlocked), ({3: 1}, PinLastTry)],
)
def test_no_try_is_spent_where_none_may_be(
    answer: dict[object, object], error: type[FidokitError]
) -> None:
    link = FakeLink(READY, ok(answer))
    person = Person(PIN)
    with pytest.raises(error):
        obtain(session_on(link, person).connection, LISTING)
    assert person.asked == []
    assert len(link.requests) == 2


def test_the_last_try_tells_that_the_one_before_was_wrong() -> None:
    session = session_on(FakeLink(READY, ok({3: 1}), ok({3: 1})))
    with pytest.raises(PinLastTry, match="that PIN is wrong: one PIN try"):
        guard_tries(session.connection, after_wrong=True)
    with pytest.raises(PinLastTry, match=r"^one PIN try"):
        guard_tries(session.connection)


@pytest.mark.parametrize(
    "key",
    [
        {}, {1: 2}, {**KEY, -2: GX[:-1]}, {**KEY, -3: GX}, {**KEY, -2: "x"}, {**KEY, -3: bytes(32)},
        {**KEY, -2: 5}, [], b"key", 7,
    ],
)  # fmt: skip
def test_key_agreement_with_no_key(key: object) -> None:
    link = FakeLink(READY, ok({3: 8}), ok({1: key}))
    with pytest.raises(TokenMisbehaved):
        obtain(session_on(link).connection, LISTING)
    assert len(link.requests) == 3  # and no hash of the PIN went out


@pytest.mark.parametrize(
    "answer", [{}, {2: b""}, {2: bytes(15)}, {2: bytes(33)}, {2: bytes(65)}, {2: "x" * 32}, {2: 1}]
)
def test_tokens_that_are_none(answer: dict[object, object]) -> None:
    link = FakeLink(READY, ok({3: 8}), ok({1: KEY}), ok(answer))
    with pytest.raises(TokenMisbehaved):
        obtain(session_on(link).connection, LISTING)


def test_a_pin_that_stays_wrong_ends_when_the_token_says_so() -> None:
    tries = [reply for left in (8, 7, 6) for reply in (ok({3: left}), ok({1: KEY}), b"\x31")]
    tries[-1] = b"\x34"
    person = Person("wrong1", "wrong2", "wrong3", "wrong4")
    with pytest.raises(PinAuthBlocked) as caught:
        obtain(session_on(FakeLink(READY, *tries), person).connection, LISTING)
    assert [left for left, _ in person.asked] == [8, 7, 6]
    assert "unplug" in caught.value.hint


def test_one_wrong_pin_from_a_script() -> None:
    replies = (ok({3: 8}), ok({1: KEY}), b"\x31", ok({3: 7}))
    link = FakeLink(READY, *replies)
    with pytest.raises(PinWrong) as caught:
        obtain(session_on(link, Person("wrong1")).connection, LISTING)
    assert caught.value.retries == 7
    assert len(link.requests) == 5


def test_one_is_written_in_the_singular() -> None:
    replies = (ok({3: 2}), ok({1: KEY}), b"\x31", ok({3: 1}))
    session = session_on(FakeLink(READY, *replies), Person("wrong1"))
    session.connection.spend_last_try = True
    with pytest.raises(PinWrong, match="1 try is left"):
        obtain(session.connection, LISTING)


# --- in the request ----------------------------------------------------------------------------


def test_a_pin_token_goes_into_two_members() -> None:
    request: dict[int, object] = {1: b"hash", 7: {"rk": True}}
    prove(request, PinToken(2, CM, None, bytes(32)), bytes(32), option=7, param=8)
    assert request[9] == 2
    assert len(bytes(request[8])) == 32  # type: ignore[call-overload]
    assert request[7] == {"rk": True}


def test_a_sensor_goes_into_the_options() -> None:
    request: dict[int, object] = {5: {"up": False}}
    prove(request, BuiltInUv(), bytes(32), option=5, param=6)
    assert request == {5: {"up": False, "uv": True}}
    request = {}
    prove(request, BuiltInUv(), bytes(32), option=5, param=6)
    assert request == {5: {"uv": True}}


# --- Ctrl-C --------------------------------------------------------------------------------------


def test_ctrl_c_while_the_token_waits_cancels_on_the_token() -> None:
    class Impatient(Person):
        def touch_wanted(self, token: str, why: str) -> None:
            super().touch_wanted(token, why)
            signal.raise_signal(signal.SIGINT)

    person = Impatient(PIN)
    with VirtualToken(presence="script") as token:  # nobody ever touches it
        with pytest.raises(Interrupted):
            enroll(session_on(token.link(), person, PATIENT), Enrollment(KeyType.ECDSA_SK, SSH))
        assert person.touches_over == 1
        token.touch()  # the token is free again, and makes a key at once
        made = enroll(
            session_on(token.link(), Person(PIN), PATIENT), Enrollment(KeyType.ECDSA_SK, SSH)
        )
        assert made.key_handle


def test_a_token_that_ignores_the_cancel_does_not_hold_ctrl_c_up() -> None:
    class Impatient(Person):
        def touch_wanted(self, token: str, why: str) -> None:
            clock.rush()
            signal.raise_signal(signal.SIGINT)

    release = threading.Event()
    clock = SteeredClock()

    def deaf(_request: bytes, keepalive: object, _canceled: object) -> bytes:
        keepalive(2)  # type: ignore[operator]
        release.wait(HANGING_S)
        return b"\x2d"

    try:
        with pytest.raises(Interrupted):
            session_on(FakeLink(info(), deaf), Impatient(PIN), clock.patience()).select()
    finally:
        release.set()


def test_a_touch_that_never_comes_is_the_tokens_time_out() -> None:
    with pytest.raises(TouchTimedOut) as caught:
        session_on(FakeLink(info(), b"\x2f")).select()
    assert "blinks" in caught.value.hint


def test_a_pin_of_a_refusing_person_is_never_sent(token: VirtualToken) -> None:
    pin.set_pin(session_on(token.link(), Person(PIN), PATIENT), PinCode.parse(PIN))

    class Leaves(Person):
        def ask_pin(self, *_: object) -> PinCode:
            raise Interrupted("interrupted")

    session = session_on(token.link(), Leaves(PIN), PATIENT)
    with pytest.raises(Interrupted):
        pin.verify_pin(session)
    assert pin.pin_status(session_on(token.link(), Person(PIN), PATIENT)).retries == 8
