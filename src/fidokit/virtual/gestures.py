"""The user at a virtual token of presence `prompt`: each touch is asked for, and waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from fidokit.errors import TouchRefused

if TYPE_CHECKING:
    from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind

PROMPT: Final = "prompt"
"""The presence policy whose touches are asked for (`fidokit.virtual.presence.Prompt`)."""

_POLL: Final = 0.1
"""Seconds between two looks at whether the command was interrupted."""

_U2F_MS: Final = 5_000
"""How long a U2F command waits, which clients repeat and give up on when it is silent for 10 s."""

_ONE_QUESTION = threading.Lock()
"""Several tokens may want a touch at once, to see which one is meant; a user has one terminal."""


@runtime_checkable
class Gestures(Protocol):
    """What an `Interaction` has as well when it can ask for touches of virtual tokens."""

    def ask_gesture(self, token: str, *, verify: bool) -> None:
        """Ask for a touch, or for one attempt at built-in verification; returns at once.

        Raises:
            TouchRefused: nobody can be asked.
        """

    def gesture(self, seconds: float) -> bool | None:
        """The answer: touched or matched, refused or not; None if none came within `seconds`."""

    def gesture_over(self) -> None:
        """The question is answered, or does not matter any more."""


class PromptPerson:
    """Somebody who is asked (`fidokit.virtual.presence.Person`).

    Args:
        selector: the token's, for the question.
        asked: who can be asked, None for nobody.
        now_ms: the token's clock.
    """

    def __init__(self, selector: str, asked: Gestures | None, now_ms: Callable[[], int]) -> None:
        self._selector = selector
        self._asked = asked
        self._now_ms = now_ms

    def wait(
        self,
        need: NeedsPresence,
        on_keepalive: Callable[[int], None],  # noqa: ARG002  the question announces the touch
        canceled: Callable[[], bool],
    ) -> Outcome:
        """Ask, and wait for the answer until the deadline.

        Raises:
            TouchRefused: nobody can be asked.
        """
        from fidokit.virtual.core.ports import Outcome

        if self._asked is None:
            raise nobody(self._selector)
        while not _ONE_QUESTION.acquire(timeout=_POLL):
            if canceled():
                return Outcome.CANCELED
        try:
            return self._answered(self._asked, need, canceled)
        finally:
            _ONE_QUESTION.release()

    def _answered(
        self, asked: Gestures, need: NeedsPresence, canceled: Callable[[], bool]
    ) -> Outcome:
        from fidokit.virtual.core.ports import Outcome, PresenceKind

        deadline = need.deadline_ms
        if need.kind is PresenceKind.TOUCH_NOW:  # a user needs longer than a button
            deadline = self._now_ms() + _U2F_MS
        asked.ask_gesture(self._selector, verify=need.kind is PresenceKind.VERIFY)
        try:
            while not canceled():
                answer = asked.gesture(_POLL)
                if answer is not None:
                    return _outcome(need.kind, yes=answer)
                if self._now_ms() >= deadline:
                    return Outcome.TIMED_OUT
            return Outcome.CANCELED
        finally:
            asked.gesture_over()


def _outcome(kind: PresenceKind, *, yes: bool) -> Outcome:
    from fidokit.virtual.core.ports import Outcome, PresenceKind

    if kind is PresenceKind.VERIFY:
        return Outcome.UV_MATCHED if yes else Outcome.UV_MISMATCHED
    if kind is PresenceKind.TOUCH_NOW:  # U2F knows a touch or none, but no refusal
        return Outcome.TOUCHED if yes else Outcome.TIMED_OUT
    return Outcome.TOUCHED if yes else Outcome.REFUSED


def nobody(selector: str) -> TouchRefused:
    """The error for a touch that nobody can be asked for."""
    return TouchRefused(
        f"{selector} asks for each touch on a terminal, and there is none",
        hint="run this in a terminal, or use a token made with --presence auto",
    )
