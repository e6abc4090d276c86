"""Standard input as people type it: said to be read, and ended by one Ctrl-D."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO, cast

from fidokit.prompt.notices import tell


class _EndsOnce(io.RawIOBase):
    """A terminal's input, which stays ended: buffered readers look for more behind an end."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._ended = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read what was typed into `buffer`; 0 from the first end on."""
        data = b"" if self._ended else os.read(self._descriptor, len(buffer))
        self._ended = not data
        buffer[: len(data)] = data
        return len(data)


def standard_input() -> BinaryIO:
    """Standard input as bytes; on a terminal the user is told that it is read."""
    if not sys.stdin.isatty():
        return sys.stdin.buffer
    tell("Reading standard input... Ctrl-D ends it.")
    return cast("BinaryIO", io.BufferedReader(_EndsOnce(sys.stdin.fileno())))
