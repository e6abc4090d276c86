"""What is too large for memory, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from fidokit.files.disk_errors import explained

PIECE: Final = 1 << 20
"""Bytes that are in memory at once."""


def pieces(source: Path | BinaryIO) -> Iterator[bytes]:
    """The bytes of a file, or of an open stream to its end, in pieces of at most `PIECE`.

    Raises:
        NoPermission, UsageError, FidokitError: the file cannot be read, or is not there.
    """
    if not isinstance(source, Path):
        yield from iter(lambda: source.read(PIECE), b"")
        return
    with explained(source), source.open("rb") as stream:
        yield from iter(lambda: stream.read(PIECE), b"")
