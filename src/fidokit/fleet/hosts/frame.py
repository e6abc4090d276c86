"""What a host sends, as bytes come in: noise of its login files, then one frame (sans-IO)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from tempfile import SpooledTemporaryFile
from typing import IO, Final

MOST_NOISE: Final = 1 << 16
"""Bytes before the frame: what a message of the day and a login file may print."""

_IN_MEMORY: Final = 1 << 18
"""Bytes of a frame that are kept in memory; with many hosts at once the rest waits in a file."""


class AnswerKind(StrEnum):
    """What a frame has in it."""

    DOCUMENT = "document"
    ERROR = "error"
    PYTHON = "python"


class Flooded(Exception):
    """A host sent more than it may."""


@dataclass
class AnswerReader:
    """Takes what a host sends, and knows when its frame is whole.

    Attributes:
        nonce: the word that the frame's lines begin with.
        most: bytes that its body may have.
        kind: what the frame has in it, once its first line is there.
        complete: whether its last line was there.
        noise: what came before it.
    """

    nonce: str
    most: int
    body: IO[bytes]
    kind: AnswerKind | None = None
    complete: bool = False
    noise: bytearray = field(default_factory=bytearray)
    _held: bytes = b""
    _size: int = 0

    def feed(self, data: bytes) -> None:
        """Take more bytes; those behind the frame are ignored.

        Raises:
            Flooded: they are more than may come.
        """
        if self.complete:
            return
        if self.kind is None:
            data = self._begin(data)
        if self.kind is not None:
            self._take(data)

    def _begin(self, data: bytes) -> bytes:
        """Look for the first line; what is behind it."""
        self.noise += data
        kinds = "|".join(AnswerKind).encode()
        found = re.search(rb"\n%b (%b)\n" % (self.nonce.encode(), kinds), self.noise)
        if found is None:
            if len(self.noise) > MOST_NOISE:
                raise Flooded(f"more than {MOST_NOISE:,} bytes that are not a report")
            return b""
        self.kind = AnswerKind(found[1].decode())
        behind = bytes(self.noise[found.end() :])
        del self.noise[found.start() :]
        return behind

    def _take(self, data: bytes) -> None:
        end = f"\n{self.nonce} end\n".encode()
        data = self._held + data
        body, found, _ = data.partition(end)
        self.complete = bool(found)
        keep = 0 if self.complete else min(len(end) - 1, len(body))
        self._held = body[len(body) - keep :]
        body = body[: len(body) - keep]
        self._size += len(body)
        if self._size > self.most:
            raise Flooded(f"more than {self.most:,} bytes")
        self.body.write(body)

    def read(self) -> bytes:
        """Return all bytes between the first and the last line of the frame."""
        self.body.seek(0)
        return self.body.read()


@contextmanager
def frame_reader(nonce: str, most: int) -> Iterator[AnswerReader]:
    """A reader whose body takes little memory; it is gone with the block."""
    with SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="fidokit-") as body:
        yield AnswerReader(nonce, most, body)
