"""Which tokens are plugged in, looked for as seldom as may be, and the clock of the agent."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError

if TYPE_CHECKING:
    from fidokit.token.ports import Candidate

MOST_SKIPPED: Final = 10
"""Seconds without a look where nothing seems to have changed; some systems' /dev does not tell."""


class Looks:
    """Tells cheaply whether tokens may have come or gone: plugging changes the folder /dev."""

    def __init__(self) -> None:
        self._stamp: tuple[int, ...] = ()
        self._skipped = 0

    def due(self) -> bool:
        """Whether to look for tokens now; called once a second."""
        from fidokit.virtual import places

        stamp = tuple(_modified(path) for path in ("/dev", str(places.folder())))
        self._skipped += 1
        if stamp == self._stamp and self._skipped < MOST_SKIPPED:
            return False
        self._stamp, self._skipped = stamp, 0
        return True


def _modified(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116  once a second
    except OSError:
        return 0


def seconds() -> float:
    """A clock that never runs backwards, and goes on while the machine sleeps where it can."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


def seen(selector: str | None, *, watched: bool) -> Sequence[Candidate]:
    """The tokens that may be used, as they are plugged in now; see `TokenDesk`."""
    from fidokit.api.backends import all_backends, backends_for
    from fidokit.api.remembering import identify
    from fidokit.token import discover
    from fidokit.types import Transport

    where = all_backends() if selector is None else backends_for(selector)
    if watched:
        where = [backend for backend in where if backend.transport is not Transport.PCSC]
    if selector is None:
        return discover.in_order(where)
    try:
        return [discover.find(selector, where, discover.Opener(identify=identify))]
    except FidokitError:
        return []
