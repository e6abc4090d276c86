"""Stateful commands: what getNextAssertion and credentialManagement hand out piece by piece.

One enumeration is remembered at a time. It is dropped by another command (the engine), by a call
from another channel, 30 s of silence, a power cycle, and when the pinUvAuthToken that authorized
it expires or is replaced (CTAP 2.3 section 6, stateful commands; GN-02..04, CM-09, TOK-15).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from fidokit.types import CtapStatus
from fidokit.virtual.core.ports import Clock, CtapRejection

IDLE_LIMIT_MS = 30_000


class Listing(Enum):
    """What is being enumerated."""

    ASSERTIONS = auto()
    RELYING_PARTIES = auto()
    CREDENTIALS = auto()
    FRAGMENTS = auto()
    """No enumeration: the upload of a large blob array, which is kept in `uploads`."""


@dataclass(slots=True)
class _Remembered:
    listing: Listing
    rest: Iterator[Any]
    channel: int
    last_used_ms: int
    token_serial: int | None


class Enumerations:
    """The one remembered enumeration."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._current: _Remembered | None = None

    def begin(
        self, listing: Listing, rest: Iterable[Any], channel: int, token_serial: int | None
    ) -> None:
        """Remember what follows the item that the Begin command itself returned.

        Args:
            listing: what it is.
            rest: the items still to be handed out.
            channel: who asked.
            token_serial: `TokenState.serial` of the token that authorized it, or None.
        """
        now = self._clock.now_ms()
        self._current = _Remembered(listing, iter(rest), channel, now, token_serial)

    def take(self, listing: Listing, channel: int, token_serial: int | None) -> Any:
        """The next item.

        Args:
            listing: what the caller continues.
            channel: who asks.
            token_serial: of the token that is alive now, or None.

        Raises:
            CtapRejection: NOT_ALLOWED where nothing (more) is remembered for this caller.
        """
        current, self._current = self._current, None
        if current is None or not self._continues(current, listing, channel, token_serial):
            raise CtapRejection(CtapStatus.NOT_ALLOWED)
        try:
            item = next(current.rest)
        except StopIteration:
            raise CtapRejection(CtapStatus.NOT_ALLOWED) from None
        current.last_used_ms = self._clock.now_ms()
        self._current = current
        return item

    def _continues(
        self, current: _Remembered, listing: Listing, channel: int, token_serial: int | None
    ) -> bool:
        return (
            current.listing is listing
            and current.channel == channel
            and self._clock.now_ms() - current.last_used_ms <= IDLE_LIMIT_MS
            and current.token_serial in (None, token_serial)
        )

    def drop(self) -> None:
        """Forget it."""
        self._current = None

    def keep_only(self, listings: frozenset[Listing]) -> None:
        """Forget it unless it is one of these; the engine calls this before every command."""
        if self._current is not None and self._current.listing not in listings:
            self._current = None
