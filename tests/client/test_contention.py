"""A busy token is waited for while a user waits along, and named."""

from __future__ import annotations

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

from fidokit.client.discovery import Opener
from fidokit.errors import TokenBusy


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

    def busy_over(self) -> None:
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
