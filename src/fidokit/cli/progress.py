"""How far a command with many items is: one line on the terminal that goes when it is done."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from fidokit.cli.settings import Settings
from fidokit.prompt.notices import LastingNotice, passed_seconds
from fidokit.prompt.text import is_fancy

_EVERY_S = 0.1
_AFTER_S = 0.5
"""Seconds before anything is shown: what is over sooner needs no progress."""


class Counter:
    """`what: DONE of ALL` on standard error, if a user looks on and --no-progress is not given.

    Args:
        what: such as "checking users".
    """

    def __init__(self, settings: Settings, what: str) -> None:
        self._what = what
        self._on = settings.progress and is_fancy(sys.stderr)
        self._next = time.monotonic() + _AFTER_S
        self._shown = False

    def __enter__(self) -> Counter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def show(self, done: int, total: int) -> None:
        """Show how many of how many are done, at most ten times a second."""
        now = time.monotonic()
        if self._on and now >= self._next:
            sys.stderr.write(f"\r{self._what}: {done:,} of {total:,}\x1b[K")
            sys.stderr.flush()
            self._next, self._shown = now + _EVERY_S, True

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


class Working:
    """`what (SECONDS s)` on standard error while the block runs, if a user looks on.

    Args:
        what: such as "Asking the tokens".
    """

    def __init__(self, settings: Settings, what: str) -> None:
        self._notice: LastingNotice | None = None
        if settings.progress and not settings.json and is_fancy(sys.stderr):
            self._notice = LastingNotice(what, passed_seconds, after=_AFTER_S)

    def __enter__(self) -> Working:
        if self._notice is not None:
            self._notice.show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._notice is not None:
            self._notice.over()
