"""Which tokens are plugged in, looked for as seldom as may be, and the clock of the agent."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError
from fidokit.types import Transport

if TYPE_CHECKING:
    from fidokit.client.ports import Candidate

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


class Sight:
    """The tokens that an agent may use, as they are there now; see `TokenDesk`.

    Args:
        selector: the one token to use; None for all.
    """

    def __init__(self, selector: str | None = None) -> None:
        from fidokit.client.links.backends import CardWatch

        self._selector = selector
        self._cards = CardWatch()

    @property
    def has_readers(self) -> bool:
        """Whether a card may be laid on a reader, which changes nothing under /dev."""
        return self._cards.has_readers

    def __call__(self, *, watched: bool) -> Sequence[Candidate]:
        """All hardware, else virtual tokens: who has a key of each kind uses both."""
        if self._selector is not None:
            return self._selected(self._selector, watched=watched)
        from fidokit.client import discovery
        from fidokit.tokens.access import all_backends

        others = [b for b in all_backends() if b.transport is not Transport.PCSC]
        usb = [b for b in others if b.transport is Transport.USB]
        hardware = discovery.seen(usb)
        if self._may_ask_cards(watched=watched):
            hardware += self._cards.candidates()
        if not (hardware or watched):
            hardware = list(self._cards.busy())
        return hardware or discovery.in_order(others)

    def mark(self, candidate: Candidate) -> int:
        """Another number for another token in the same place."""
        from fidokit.agent.desk.place import mark_of

        if candidate.transport is Transport.PCSC:
            return self._cards.count(candidate.path)
        return mark_of(candidate)

    def _selected(self, selector: str, *, watched: bool) -> Sequence[Candidate]:
        from fidokit.client import discovery
        from fidokit.tokens.access import backends_for
        from fidokit.tokens.remembered import identify

        where = [b for b in backends_for(selector) if b.transport is not Transport.PCSC]
        if len(where) < len(backends_for(selector)) and self._may_ask_cards(watched=watched):
            where.append(self._cards)
        try:
            return [discovery.find(selector, where, discovery.Opener(identify=identify))]
        except FidokitError:
            return []

    def _may_ask_cards(self, *, watched: bool) -> bool:
        """Not again and again where each look would disturb whoever uses the card."""
        return self._cards.counts or not watched
