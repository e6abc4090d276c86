"""The token under test: opened for each test, taken away, put back, erased where allowed."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hwtests.person import Person

from fidokit.client.info import TokenInfo
from fidokit.client.ports import Candidate, PinCode
from fidokit.client.session import Session
from fidokit.errors import FidokitError, TokenNotFound, Unsupported
from fidokit.tokens import reset as reset_module
from fidokit.tokens.access import backends_for, open_token
from fidokit.tokens.owner import set_pin
from fidokit.tokens.reset import ResetPlan

REPLUG_S = 60.0
"""Seconds that unplugging gets, and inserting again."""

POLL_S = 0.1


@dataclass
class Desk:
    """One token and its person.

    Args:
        selector: as `--token` takes it.
        allow_reset: whether everything on the token may be erased.
        no_reset: why the token cannot be erased whatever is allowed; empty where it can.
        can_replug: whether somebody can take it out and put it back.
        name, info: as it was when the run began, or since the last reset.
        round_trips: messages exchanged since the counter was last read.
    """

    selector: str
    person: Person
    allow_reset: bool = False
    no_reset: str = ""
    can_replug: bool = True
    name: str = ""
    info: TokenInfo = field(default_factory=lambda: TokenInfo(versions=()))
    round_trips: int = 0

    @contextmanager
    def open(self) -> Iterator[Session]:
        """A session on the token, whose messages are counted."""
        with open_token(self.selector, self.person) as session:
            try:
                yield session
            finally:
                self.round_trips += session.round_trips

    def look(self) -> TokenInfo:
        """Read getInfo again, and keep it."""
        with self.open() as session:
            self.name, self.info = session.name, session.info
        return self.info

    # --- the plug ------------------------------------------------------------------------------

    def unplug(self) -> None:
        """Have the token taken away, and wait until it is gone."""
        self.person.hands.unplug()
        self._until(lambda: self.present() is None, "was not unplugged")

    def insert(self) -> None:
        """Have it put back, and wait until it is there."""
        self.person.hands.insert()
        self._until(self._opens, "did not come back")

    def replug(self) -> None:
        """Take its power away for a moment."""
        self.unplug()
        self.insert()

    @property
    def contactless(self) -> bool:
        """Whether it lies on a reader, so that the tap may count as the touch."""
        return self.selector.startswith("pcsc:")

    def present(self) -> Candidate | None:
        """The token as it is seen without being opened; None where it is not."""
        seen = [token for way in backends_for(self.selector) for token in way.candidates()]
        return next((token for token in seen if token.selector == self.selector), None)

    def _opens(self) -> bool:
        """Whether it is there and has its node's permissions: udev takes a moment."""
        try:
            self.look()
        except FidokitError:
            return False
        return True

    def _until(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + REPLUG_S
        while not done():
            if time.monotonic() > deadline:
                raise TokenNotFound(f"the token {what} within {REPLUG_S:.0f} seconds")
            time.sleep(POLL_S)

    # --- erasing -------------------------------------------------------------------------------

    def plan_reset(self) -> ResetPlan:
        """What a reset would destroy. Asks for no PIN, which may not be known."""
        with self.open() as session:
            return reset_module.plan_reset(session)

    def drop_reset(self) -> str:
        """Where the token cannot be erased, allow it no longer; returns why, else nothing."""
        if self.info.is_u2f_only:
            self.no_reset = "U2F knows no reset"
        else:
            try:
                self.plan_reset()
            except Unsupported as error:
                self.no_reset = error.message
        self.allow_reset = self.allow_reset and not self.no_reset
        return self.no_reset

    def reset(self, typed: str) -> None:
        """Erase the token; the PIN is gone, too.

        Args:
            typed: what the person typed when asked, see `ResetPlan.confirm`.
        """
        reset_module.reset_token(
            self.plan_reset(), typed=typed, guide=self.person, interaction=self.person
        )
        self.person.pin = None
        self.look()

    def set_first_pin(self) -> None:
        """Give a token that was erased a PIN that nobody knows but this run."""
        digits = "".join(
            secrets.choice("0123456789") for _ in range(max(8, self.info.min_pin_length + 2))
        )
        pin = PinCode.parse(digits)
        with self.open() as session:
            set_pin(session, pin)
        self.person.pin = pin
        self.look()
