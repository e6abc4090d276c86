"""One question for the PIN, where several proofs are needed: each RP wants one of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidokit.client.ports import Candidate, Interaction, PinCode
    from fidokit.client.session import Session


class AskedOnce:
    """An `Interaction` that answers with the PIN that was given, until the token refuses it.

    Args:
        inner: who is asked the first time, and for everything else.
    """

    def __init__(self, inner: Interaction) -> None:
        self._inner = inner
        self._pin: PinCode | None = None

    @property
    def knows_pin(self) -> bool:
        """Whether the PIN was given before, so that the next question costs nothing."""
        return self._pin is not None

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """The PIN that was given; a wrong one is not given again."""
        if self._pin is None or previous_was_wrong:
            self._pin = None
            self._pin = self._inner.ask_pin(token, retries, why, previous_was_wrong)
        return self._pin

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        """As the one inside."""
        return self._inner.ask_new_pin(token, min_length, max_length)

    def touch_wanted(self, token: str, why: str) -> None:
        """As the one inside."""
        self._inner.touch_wanted(token, why)

    def touch_over(self) -> None:
        """As the one inside."""
        self._inner.touch_over()

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:
        """As the one inside."""
        return self._inner.choose_token(candidates)


@contextmanager
def asking_once(session: Session) -> Iterator[None]:
    """Ask for the PIN of a token at most once in the `with` block, and forget it at its end."""
    before = session.interaction
    session.interaction = AskedOnce(before)
    try:
        yield
    finally:
        session.interaction = before


def pin_at_hand(session: Session) -> bool:
    """Whether a proof costs the user nothing: the PIN was given, and no sensor comes before it."""
    asked = session.interaction
    return isinstance(asked, AskedOnce) and asked.knows_pin and not session.info.uv_configured
