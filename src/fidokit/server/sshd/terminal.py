"""A terminal of its own for a program that asks there, and somebody who types one answer."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final

_MOST: Final = 1 << 16
_STEP_S: Final = 0.05
_OPEN: Final = 'exec 3<>"$0"; exec "$@"'
"""The first terminal that the leader of a session opens becomes its own (tty_ioctl(4))."""


class Terminal:
    """One terminal; a context manager."""

    def __enter__(self) -> Terminal:
        self._ours, self._theirs = pty.openpty()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._ours)
        os.close(self._theirs)

    def command(self, words: Sequence[str]) -> list[str]:
        """A command line that runs a program there; to be started in a session of its own."""
        return ["/bin/sh", "-c", _OPEN, os.ttyname(self._theirs), *words]

    def answer(self, text: str, until: float, runs: Callable[[], bool]) -> None:
        """Wait for a question, type the answer, and read on until the program has ended.

        Args:
            text: the answer; it goes nowhere else.
            until: when to give up, by `time.monotonic`.
            runs: whether the program does.
        """
        seen = b""
        while runs() and time.monotonic() < until:
            if not select.select([self._ours], [], [], _STEP_S)[0]:
                continue
            seen += os.read(self._ours, _MOST)
            if text and seen.rstrip(b" \r\n").endswith(b":"):
                os.write(self._ours, text.encode() + b"\n")
                text = ""
