"""The PIN: what a new one must be (CTAP 2.3 section 6.5.1; PIN-11..15), and the lock and the key
agreement keys, which are forgotten without power.

The specification leaves to the maker what is too simple. Ours: one character over and over, a run
along the alphabet or the digits, and the PINs that people are known to choose (PIN-14).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import Enum, auto
from itertools import pairwise
from typing import Final

from fidokit.types import CtapStatus
from fidokit.virtual.core.person.pin_protocol import KeyAgreement
from fidokit.virtual.core.ports import CtapRejection, DurableState, Rng
from fidokit.virtual.core.profile import Profile

_CHOSEN_OFTEN: Final = (
    "0852 1004 1010 1122 1212 1313 1342 1980 1984 1990 1998 2000 2001 2002 2020 2580 3252 5683 "
    "6969 7410 112233 121212 123123 123321 131313 147258 159753 159951 212121 232323 456123 "
    "654123 789456 852456 987123 11223344 12121212 12341234 12344321 14725836 1q2w3e4r admin "
    "asdf asdfgh azerty iloveyou letmein love monkey password passwort pass qazwsx qwer qwert "
    "qwerty qwertyui qwertyuiop qwertz secret welcome yubikey zxcvbn"
)
_LISTED: Final = frozenset(_CHOSEN_OFTEN.split())
_DIGITS_OF_A_KEYBOARD: Final = ("1234567890", "0987654321")


def too_simple(pin: str) -> bool:
    """Whether the policy refuses a PIN.

    Args:
        pin: as the platform sent it, at least one code point.
    """
    folded = pin.casefold()
    # One character may fold to several: then only the PIN as it is shows that it repeats.
    run = _is_run(pin) or _is_run(folded) or any(folded in row for row in _DIGITS_OF_A_KEYBOARD)
    return run or folded in _LISTED


def _is_run(text: str) -> bool:
    steps = {ord(after) - ord(before) for before, after in pairwise(text)}
    return steps in ({0}, {1}, {-1})


PADDED_LENGTH = 64


def pin_hash(pin: bytes) -> bytes:
    """LEFT(SHA-256(PIN), 16): what is stored and compared."""
    return hashlib.sha256(pin).digest()[:16]


def judge_new_pin(profile: Profile, state: DurableState, padded: bytes | None) -> tuple[bytes, int]:
    """The hash and the length in code points of a PIN that the policy accepts.

    Args:
        profile: whose maximum length applies.
        state: whose minimum length and complexity policy apply.
        padded: the decrypted form, 64 bytes with at least one zero at its end; None if it
            could not be decrypted.

    Raises:
        CtapRejection: PIN_AUTH_INVALID where it could not be decrypted; by
            `Behavior.short_padded_pin` for another length; PIN_POLICY_VIOLATION (6.5.5.5).
    """
    if padded is None:
        raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)
    if len(padded) != PADDED_LENGTH:
        raise CtapRejection(profile.behavior.short_padded_pin)
    if padded[-1]:
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION)
    pin = padded.rstrip(b"\0")
    try:
        text = pin.decode()
    except UnicodeDecodeError:
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION) from None
    fits = state.min_pin_length <= len(text) <= profile.max_pin_length
    odd = profile.behavior.digits_only and not (text.isascii() and text.isdecimal())
    if not fits or odd or (state.pin_complexity and too_simple(text)):
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION)
    return pin_hash(pin), len(text)


MISSES_BEFORE_LOCK = 3


class PinLock(Enum):
    """Whether PINs are looked at."""

    READY = auto()
    NEEDS_POWER_CYCLE = auto()
    BLOCKED = auto()


class PinEvent(Enum):
    """What happens to the lock; power-up and reset make a new `PinState`."""

    MATCH = auto()
    MISS = auto()
    THIRD_MISS = auto()
    LAST_MISS = auto()


NEXT: Mapping[tuple[PinLock, PinEvent], PinLock] = {
    (PinLock.READY, PinEvent.MATCH): PinLock.READY,
    (PinLock.READY, PinEvent.MISS): PinLock.READY,
    (PinLock.READY, PinEvent.THIRD_MISS): PinLock.NEEDS_POWER_CYCLE,
    (PinLock.READY, PinEvent.LAST_MISS): PinLock.BLOCKED,
}
"""A locked PIN is not compared, so the other states see no events."""

STATUS_FOR: Mapping[PinLock, CtapStatus] = {
    PinLock.READY: CtapStatus.PIN_INVALID,
    PinLock.NEEDS_POWER_CYCLE: CtapStatus.PIN_AUTH_BLOCKED,
    PinLock.BLOCKED: CtapStatus.PIN_BLOCKED,
}
"""How a miss that leads into a state is answered, and everything after it."""


class PinState:
    """Misses in a row, the lock, and one key agreement key per protocol."""

    def __init__(self, rng: Rng) -> None:
        self._rng = rng
        self._misses = 0
        self._lock = PinLock.READY
        self._agreements: dict[int, KeyAgreement] = {}

    def lock(self, retries: int) -> PinLock:
        """The lock, given the durable tries left."""
        return PinLock.BLOCKED if retries == 0 else self._lock

    def missed(self, retries: int) -> CtapStatus:
        """A PIN was wrong: advance, change the key agreement keys (PIN-29), name the status.

        Args:
            retries: tries left, already lowered.
        """
        self._misses += 1
        self._agreements.clear()
        self._lock = NEXT[self._lock, self._event(retries)]
        return STATUS_FOR[self._lock]

    def _event(self, retries: int) -> PinEvent:
        if retries == 0:
            return PinEvent.LAST_MISS
        return PinEvent.THIRD_MISS if self._misses == MISSES_BEFORE_LOCK else PinEvent.MISS

    def matched(self) -> None:
        """A PIN was right: misses in a row start over."""
        self._misses = 0
        self._lock = NEXT[self._lock, PinEvent.MATCH]

    def agreement(self, protocol: int) -> KeyAgreement:
        """The protocol's key agreement key; the same until power cycle, reset or a wrong PIN."""
        if protocol not in self._agreements:
            self._agreements[protocol] = KeyAgreement(protocol, self._rng)
        return self._agreements[protocol]
