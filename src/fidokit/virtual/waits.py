"""What a token waits for at the moment, for whoever acts when it does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from fidokit.virtual.core.ports import PresenceKind

WORDS: Final = {
    PresenceKind.TOUCH: "touch",
    PresenceKind.TOUCH_NOW: "touch",
    PresenceKind.LONG_TOUCH: "long-touch",
    PresenceKind.VERIFY: "finger",
    PresenceKind.VERIFY_NOW: "finger",
    PresenceKind.SAMPLE: "sample",
}
"""What is waited for, in the words of the control socket."""


class Waits:
    """The waits of a token that go on; safe to use from any thread.

    A U2F command does not wait: it asks whether somebody touches, again and again. Each time counts
    as a wait that is over at once.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._going_on: list[_One] = []
        self._begun = 0
        self._last = ""

    @contextmanager
    def one(self, kind: PresenceKind) -> Iterator[None]:
        """A wait, for as long as the block runs."""
        wait = _One(WORDS[kind])
        with self._changed:
            self._going_on.append(wait)
            self._begun += 1
            self._last = wait.word
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._going_on.remove(wait)
                self._changed.notify_all()

    @property
    def now(self) -> str | None:
        """What is waited for, and has got no answer yet."""
        open_ones = [wait.word for wait in self._going_on if not wait.answered]
        return open_ones[0] if open_ones else None

    def answered(self, seconds: float = 0.0) -> None:
        """Somebody acted: what goes on now ends soon, and is waited for no more.

        Args:
            seconds: how long to wait at most until it has ended, and its command has gone on.
        """
        with self._changed:
            acted = list(self._going_on)
            for wait in acted:
                wait.answered = True
            self._changed.wait_for(lambda: not set(acted) & set(self._going_on), seconds)

    def until_one(self, seconds: float) -> str | None:
        """What is waited for, now or within so many seconds; None if nothing is."""
        deadline = time.monotonic() + seconds
        with self._changed:
            begun = self._begun
            while (word := self.now) is None:
                if self._begun != begun:
                    return self._last
                left = deadline - time.monotonic()
                if left <= 0:
                    return None
                self._changed.wait(left)
        return word


class _One:
    def __init__(self, word: str) -> None:
        self.word = word
        self.answered = False
