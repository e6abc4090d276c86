"""The person of a run, as fidokit's library knows one: the PIN, touches, and the plug."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwtests.hands import Hands, Say

from fidokit.client.ports import QUIET, Candidate, PinCode
from fidokit.errors import PinWrong


@dataclass
class Person:
    """An `Interaction` that knows the PIN, and a `ResetGuide`; gestures go to the hands.

    Args:
        hands: who touches and unplugs.
        say: shows a line.
        pin: the token's PIN, where it is known.
        touches: how many touches were asked for.
    """

    hands: Hands
    say: Say
    pin: PinCode | None = None
    touches: int = 0

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """The PIN; asked once, since a wrong one would be wrong again and cost a try."""
        if previous_was_wrong:
            raise PinWrong("the PIN that was given is wrong", retries=retries)
        if self.pin is None:
            return QUIET.ask_pin(token, retries, why, previous_was_wrong)
        return self.pin

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        """Tests say which PIN they set."""
        return QUIET.ask_new_pin(token, min_length, max_length)

    def touch_wanted(self, token: str, why: str) -> None:
        """Pass it on."""
        self.touches += 1
        self.hands.touch(why)

    def touch_over(self) -> None:
        """Nothing to clear."""

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:
        """The selector decides."""
        return QUIET.choose_token(candidates)

    def unplug(self, name: str) -> None:
        """A reset wants the token out."""
        self.hands.unplug()

    def insert(self, name: str) -> None:
        """And in again."""
        self.hands.insert()

    def inserted(self, name: str) -> None:
        """It is back; the touch is asked for next."""

    def once_more(self, name: str) -> None:
        """It must be the first command; the hands know no difference."""
