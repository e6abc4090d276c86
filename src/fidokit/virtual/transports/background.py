"""Threads that a transport needs now and then: one that works, and one that watches the time.

Both begin when there is something to do and end themselves when there was nothing for a while, so
that a port which nobody closes costs no thread.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

LINGER_S: Final = 1.0
"""How long an idle thread waits for more; commands of one program come closer together."""


def now_ms() -> int:
    """Milliseconds of a clock that never goes back."""
    return time.monotonic_ns() // 1_000_000


class Worker:
    """Runs one job at a time, as a token does.

    Args:
        linger_s: seconds after which an idle thread ends.
    """

    def __init__(self, linger_s: float = LINGER_S) -> None:
        self._linger_s = linger_s
        self._changed = threading.Condition()
        self._next: Callable[[], None] | None = None
        self._alive = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job when the one before it has ended; one that still waits is dropped for it."""
        with self._changed:
            self._next = job
            if not self._alive:
                self._alive = True
                threading.Thread(target=self._work, daemon=True).start()
            self._changed.notify()

    def _work(self) -> None:
        try:
            while job := self._wait():
                job()
        except BaseException:
            with self._changed:
                self._alive = False
            raise

    def _wait(self) -> Callable[[], None] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._next is not None, self._linger_s)
            job, self._next = self._next, None
            self._alive = job is not None
            return job


class Alarm(Protocol):
    """Calls somebody at a time; tests have one whose time they move."""

    def now_ms(self) -> int:
        """The time, in milliseconds of a clock that never goes back."""
        ...

    def set(self, deadline_ms: int | None) -> None:
        """Ring at this time, and no longer at the one before; None for not at all."""
        ...


class ThreadAlarm:
    """An alarm that rings in a thread of its own.

    Args:
        ring: called at the deadline, and once too often where a deadline was moved.
        linger_s: seconds after which an idle thread ends.
    """

    def __init__(self, ring: Callable[[], None], linger_s: float = LINGER_S) -> None:
        self._ring = ring
        self._linger_s = linger_s
        self._changed = threading.Condition()
        self._deadline_ms: int | None = None
        self._sleeps_until_ms = 0
        self._alive = False

    def now_ms(self) -> int:
        """See `Alarm`."""
        return now_ms()

    def set(self, deadline_ms: int | None) -> None:
        """See `Alarm`."""
        with self._changed:
            self._deadline_ms = deadline_ms
            if deadline_ms is None:
                return
            if not self._alive:
                self._alive = True
                threading.Thread(target=self._watch, daemon=True).start()
            elif deadline_ms < self._sleeps_until_ms:
                self._changed.notify()  # a later one is seen when it wakes up anyway

    def _watch(self) -> None:
        while self._wait():
            self._ring()

    def _wait(self) -> bool:
        """True at a deadline; False when there was none for a while."""
        with self._changed:
            idle_until_ms = now_ms() + int(1000 * self._linger_s)
            while True:
                now, deadline = now_ms(), self._deadline_ms
                if deadline is not None and now >= deadline:
                    self._deadline_ms = None
                    return True
                if deadline is None and now >= idle_until_ms:
                    self._alive = False
                    return False
                self._sleeps_until_ms = idle_until_ms if deadline is None else deadline
                self._changed.wait((self._sleeps_until_ms - now) / 1000)
