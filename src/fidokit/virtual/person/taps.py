"""Taps: laying a contactless token on a reader is a touch, once, and for two minutes (NFC-15)."""

from __future__ import annotations

from typing import Final

from fidokit.virtual.core.ports import Clock, PresenceKind

LASTS_MS: Final = 120_000
"""CTAP 2.3's limit for the user presence that a tap gives."""

_TOUCHES: Final = frozenset({PresenceKind.TOUCH, PresenceKind.TOUCH_NOW})
"""What a tap answers; a long touch and a finger it does not."""


class Taps:
    """Which channels were opened by a tap that nothing has used yet.

    Args:
        clock: the token's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._made_ms: dict[int, int] = {}

    def made(self, channel: int) -> None:
        """The token was laid on a reader, and is reached by this channel."""
        self._made_ms[channel] = self._clock.now_ms()

    def used(self, channel: int, kind: PresenceKind) -> bool:
        """Whether the tap answers this request for presence; it answers no other one then."""
        if kind not in _TOUCHES or channel not in self._made_ms:
            return False
        return self._clock.now_ms() - self._made_ms.pop(channel) <= LASTS_MS
