"""The world of a virtual token: the system's clock and randomness, and ones a test can steer."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import Final


class SystemClock:
    """Milliseconds of the system's monotonic clock."""

    def now_ms(self) -> int:
        """The time now, in milliseconds."""
        return time.monotonic_ns() // 1_000_000


class ManualClock:
    """A clock that stands still until it is told otherwise.

    Args:
        now_ms: where it starts.
    """

    def __init__(self, now_ms: int = 0) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """The time now, in milliseconds."""
        return self._now_ms

    def advance(self, milliseconds: int) -> None:
        """Let time pass, for waits in other threads too."""
        with self._lock:
            self._now_ms += milliseconds


class SystemRng:
    """The operating system's randomness."""

    repeatable: Final = False

    def bytes(self, count: int) -> bytes:
        """Fresh random bytes, fit for keys."""
        return os.urandom(count)


class SeededRng:
    """Bytes that a seed determines, so that a test's token repeats itself; never for real keys.

    Args:
        seed: anything.
    """

    repeatable: Final = True

    def __init__(self, seed: bytes = b"") -> None:
        self._seed = seed
        self._block = 0

    def bytes(self, count: int) -> bytes:
        """The next bytes: SHA-256(seed || block number), cut."""
        blocks = []
        for _ in range(0, count, 32):
            blocks.append(hashlib.sha256(self._seed + self._block.to_bytes(8)).digest())
            self._block += 1
        return b"".join(blocks)[:count]
