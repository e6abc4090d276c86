"""The layer over a real authenticator that shares no code with it: the virtual token."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.support.fake_link import Person, SteeredClock, session_on

from fidokit.client.owner import pin
from fidokit.client.ports import PinCode
from fidokit.client.session import Session
from fidokit.virtual.token import VirtualToken

PIN = "123456"
PATIENT = SteeredClock().patience(sleep=lambda _seconds: None)
"""For tokens that answer, however late: time stands still."""

Opened = Callable[..., Session]


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    """A CTAP 2.3 token without a PIN, touched at once."""
    with VirtualToken(presence="auto") as made:
        yield made


@pytest.fixture
def person() -> Person:
    """Somebody who knows the PIN."""
    return Person(PIN)


@pytest.fixture
def opened(token: VirtualToken, person: Person) -> Iterator[Opened]:
    """Open a session on the token, as a new command would."""
    sessions: list[Session] = []

    def open_it(who: Person | None = None) -> Session:
        sessions.append(session_on(token.link(), who or person, PATIENT))
        return sessions[-1]

    yield open_it
    for session in sessions:
        session.close()


@pytest.fixture
def with_pin(opened: Opened) -> Opened:
    """The same, the PIN being set."""
    pin.set_pin(opened(), PinCode.parse(PIN))
    return opened
