"""The PIN's lock and the key agreement keys: what about the PIN is forgotten without power."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from fidokit.types import CtapStatus
from fidokit.virtual.core.person.pin_protocol import KeyAgreement
from fidokit.virtual.core.ports import Rng
from fidokit.virtual.core.profile import Profile

MISSES_BEFORE_LOCK = 3


class Lock(Enum):
    """Whether PINs are looked at."""

    READY = auto()
    NEEDS_POWER_CYCLE = auto()
    BLOCKED = auto()


class Event(Enum):
    """What happens to the lock; power-up and reset make a new `PinState`."""

    MATCH = auto()
    MISS = auto()
    THIRD_MISS = auto()
    LAST_MISS = auto()


NEXT: Mapping[tuple[Lock, Event], Lock] = {
    (Lock.READY, Event.MATCH): Lock.READY,
    (Lock.READY, Event.MISS): Lock.READY,
    (Lock.READY, Event.THIRD_MISS): Lock.NEEDS_POWER_CYCLE,
    (Lock.READY, Event.LAST_MISS): Lock.BLOCKED,
}
"""A locked PIN is not compared, so the other states see no events."""

STATUS_FOR: Mapping[Lock, CtapStatus] = {
    Lock.READY: CtapStatus.PIN_INVALID,
    Lock.NEEDS_POWER_CYCLE: CtapStatus.PIN_AUTH_BLOCKED,
    Lock.BLOCKED: CtapStatus.PIN_BLOCKED,
}
"""How a miss that leads into a state is answered, and everything after it."""


class PinState:
    """Misses in a row, the lock, and one key agreement key per protocol."""

    def __init__(self, profile: Profile, rng: Rng) -> None:
        self._rng = rng
        self._misses = 0
        self._lock = Lock.READY
        self._protocols = profile.pin_protocols
        self._agreements: dict[int, KeyAgreement] = {}

    def lock(self, retries: int) -> Lock:
        """The lock, given the durable tries left."""
        return Lock.BLOCKED if retries == 0 else self._lock

    def missed(self, retries: int) -> CtapStatus:
        """A PIN was wrong: advance, change the key agreement keys (PIN-29), name the status.

        Args:
            retries: tries left, already lowered.
        """
        self._misses += 1
        self._agreements.clear()
        self._lock = NEXT[self._lock, self._event(retries)]
        return STATUS_FOR[self._lock]

    def _event(self, retries: int) -> Event:
        if retries == 0:
            return Event.LAST_MISS
        return Event.THIRD_MISS if self._misses == MISSES_BEFORE_LOCK else Event.MISS

    def matched(self) -> None:
        """A PIN was right: misses in a row start over."""
        self._misses = 0
        self._lock = NEXT[self._lock, Event.MATCH]

    def agreement(self, protocol: int) -> KeyAgreement:
        """The protocol's key agreement key; the same until power cycle, reset or a wrong PIN."""
        if protocol not in self._agreements:
            self._agreements[protocol] = KeyAgreement(protocol, self._rng)
        return self._agreements[protocol]
