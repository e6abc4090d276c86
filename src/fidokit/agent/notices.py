"""Telling the user that a token waits: on the terminal, on the desktop, by a command."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from fidokit.agent.core.ports import Purpose
from fidokit.client.ports import Candidate, Quiet
from fidokit.prompt.desktop import clean, notify, spawn

WANTED: Final = "touch-wanted"
OVER: Final = "touch-over"
_TITLE: Final = "Touch your security key"


@dataclass(frozen=True, slots=True)
class Notices:
    """Where touches are announced.

    Args:
        say: takes a line for the terminal or the log.
        desktop: whether notify-send is used, if it is there.
        hook: a command and its arguments, run for each event with FIDOKIT_EVENT, FIDOKIT_TOKEN,
            FIDOKIT_KEY and FIDOKIT_PURPOSE in its environment; empty for none.
    """

    say: Callable[[str], None]
    desktop: bool = False
    hook: Sequence[str] = ()

    def wanted(self, token: str, purpose: Purpose) -> None:
        """A token waits for a touch."""
        self.say(f"{_TITLE} ({token}): {purpose.what}, key {purpose.key}")
        if self.desktop:
            notify(f"{_TITLE}: {token}", f"{clean(purpose.what)}\n{purpose.key}")
        self._run_hook(WANTED, token, purpose)

    def over(self) -> None:
        """It waits no longer."""
        self._run_hook(OVER, "", Purpose("", ""))

    def _run_hook(self, event: str, token: str, purpose: Purpose) -> None:
        if self.hook:
            spawn(
                self.hook,
                FIDOKIT_EVENT=event,
                FIDOKIT_TOKEN=clean(token),
                FIDOKIT_KEY=clean(purpose.key),
                FIDOKIT_PURPOSE=clean(purpose.what),
            )


class Announcing(Quiet):
    """An `Interaction` that passes on touch notices; the PIN is another process's business."""

    def __init__(self, notices: Notices, purpose: Purpose) -> None:
        self._notices = notices
        self._purpose = purpose

    def touch_wanted(self, token: str, why: str) -> None:  # noqa: ARG002  the purpose says more
        """Tell the user what the touch is for."""
        self._notices.wanted(token, self._purpose)

    def touch_over(self) -> None:
        """Take the notice back."""
        self._notices.over()

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:  # noqa: ARG002
        """Leave the choice to a touch."""
        return None


@dataclass(slots=True)
class Heard:
    """What the agent does when a child of it says something (`pin.child.Hears`).

    Args:
        notices: where touches are announced.
        purpose: what the child works for.
        forget_pin: wipes the PIN that it was handed.
    """

    notices: Notices
    purpose: Purpose
    forget_pin: Callable[[], None]
    wanted: bool = False

    def touch_wanted(self, token: str) -> None:
        """The token waits for a touch."""
        self.wanted = True
        self.notices.wanted(token, self.purpose)

    def touch_over(self) -> None:
        """It waits no longer."""
        if self.wanted:
            self.wanted = False
            self.notices.over()

    def pin_wrong(self) -> None:
        """The PIN that the child was handed is wrong."""
        self.forget_pin()
