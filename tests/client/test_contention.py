"""A busy token is waited for while a user waits along, and named."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.client.conftest import PIN
from tests.support.fake_link import (
    GET_INFO,
    FakeLink,
    Person,
    SteeredClock,
    candidate,
    ok,
    session_on,
)

from fidokit.client.contention import until_there
from fidokit.client.discovery import Opener
from fidokit.errors import Interrupted, TokenBusy, TouchRefused, TouchTimedOut
from fidokit.types import CtapCommand, CtapStatus


class Patient(Person):
    """Waits for a token that is busy."""

    def __init__(self, *pins: str, waits: bool = True) -> None:
        super().__init__(*pins)
        self.waits = waits
        self.said: list[str] = []
        self.over = 0

    def busy(self, token: str, why: str) -> bool:
        self.said.append(why)
        return self.waits

    def absent(self, what: str) -> bool:
        self.said.append(what)
        return self.waits

    def waiting_over(self) -> None:
        self.over += 1


def test_a_busy_token_is_waited_for_while_somebody_waits() -> None:
    person = Patient(PIN)
    clock = SteeredClock()
    tries: list[float] = []

    def opened() -> object:
        tries.append(clock.now)
        if len(tries) < 5:
            raise TokenBusy("firefox (pid 12) is using the token")
        return FakeLink(ok(GET_INFO))

    seen = candidate("a", None)
    seen = type(seen)(**{**{f: getattr(seen, f) for f in seen.__slots__}, "open": opened})
    with Opener(person, patience=clock.patience())(seen) as session:
        assert session.info.versions
    assert person.said == ["firefox (pid 12) is using the token"]
    assert person.over == 1
    assert tries == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_busy_token_is_an_error_soon_where_nobody_waits() -> None:
    for person in (Person(PIN), Patient(PIN, waits=False)):
        session = session_on(FakeLink(*[b"\x06"] * 9), person)
        with pytest.raises(TokenBusy):
            _ = session.info


def test_a_token_that_stays_busy_is_given_up_in_the_end() -> None:
    clock = SteeredClock()
    person = Patient(PIN)
    session = session_on(FakeLink(*[b"\x06"] * 999), person, clock.patience(total=30.0))
    with pytest.raises(TokenBusy):
        _ = session.info
    assert 30 <= clock.now < 60
    assert person.over == 1


def test_an_absent_token_is_looked_for_again() -> None:
    clock = SteeredClock()
    person = Patient(PIN)
    looks: list[float] = []

    def look() -> str | None:
        looks.append(clock.now)
        return "token" if len(looks) == 4 else None

    assert until_there(look, "plug it in", person, clock.patience()) == "token"
    assert looks == [0.0, 0.5, 1.0, 1.5]
    assert (person.said, person.over) == (["plug it in"], 1)


def test_an_absent_token_is_given_up_in_the_end() -> None:
    clock = SteeredClock()
    person = Patient(PIN)
    assert until_there(lambda: None, "plug it in", person, clock.patience(total=30.0)) is None
    assert 30 <= clock.now < 31
    assert person.over == 1


def test_an_absent_token_is_not_waited_for_alone() -> None:
    for person in (Person(PIN), Patient(PIN, waits=False)):
        clock = SteeredClock()
        assert until_there(lambda: None, "plug it in", person, clock.patience()) is None
        assert clock.now == 0


def test_ctrl_c_ends_the_looking() -> None:
    def look() -> None:
        if person.said:
            raise KeyboardInterrupt

    clock, person = SteeredClock(), Patient(PIN)
    with pytest.raises(Interrupted):
        until_there(look, "plug it in", person, clock.patience())
    assert person.over == 1


TOUCH_NEEDED = 2


@pytest.mark.parametrize(
    ("seconds", "error", "said"),
    [(30, TouchTimedOut, "nobody touched it for 30 seconds"), (2, TouchRefused, "refused")],
)
def test_a_token_that_refuses_after_its_time_was_not_touched(
    seconds: int, error: type[Exception], said: str
) -> None:
    clock = SteeredClock()

    def wait(_request: bytes, keepalive: Callable[[int], None], _canceled: object) -> bytes:
        keepalive(TOUCH_NEEDED)
        heard.wait(10)
        clock.now += seconds
        return bytes([CtapStatus.OPERATION_DENIED])

    class Touched(Person):
        """Lets the time pass once it was told."""

        def touch_wanted(self, token: str, why: str) -> None:
            super().touch_wanted(token, why)
            heard.set()

    heard = threading.Event()
    session = session_on(FakeLink(ok(GET_INFO), wait), Touched(PIN), clock.patience())
    assert session.info.versions
    with pytest.raises(error, match=said):
        session.connection.request(CtapCommand.SELECTION, None, "answer", why="choosing")
