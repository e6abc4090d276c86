"""Finding key files by what is in them, whatever their names.

A folder may hold anything: FIFOs, sockets, unreadable and huge files, other people's formats.
What is not a key file is passed over in silence.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.foreign_formats import require_own_form
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.keys import public
from fidokit.openssh.keys.public import PublicLine

MAX_SCANNED: Final = 1 << 16
"""Bytes: a key file of a token's key has under 3 KB, one of a long certificate chain less than
this; so a folder of large files costs little."""

MAX_ENTRIES: Final = 10_000
"""Entries of one folder that are looked at; a folder with more holds something else than keys."""

_PRIVATE_HEAD: Final = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_LISTS: Final = frozenset({"authorized_keys", "authorized_keys2", "known_hosts", "known_hosts.old"})
"""A list of one key has the form of a public key file, but deleting or using it as one is wrong."""


@dataclass(frozen=True)
class FoundKey:
    """A key file.

    Attributes:
        line: public key and comment; a private file's comment is not known here.
        is_private: which half it is.
        modified: its modification time, UTC.
    """

    path: Path
    line: PublicLine
    is_private: bool
    modified: datetime


def find_keys(folders: Iterable[Path]) -> Iterator[FoundKey]:
    """The key files directly in these folders, each folder by name; none is opened twice.

    Folders that do not exist or cannot be read hold none.
    """
    seen: set[str] = set()
    for folder in folders:
        for path in _entries(folder):
            real = os.path.realpath(path)  # Path.resolve raises RuntimeError at a loop of links
            if real not in seen:
                seen.add(real)
                yield from _look(path)


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in islice(entries, MAX_ENTRIES))
    except OSError:
        return []


def _look(path: Path) -> Iterator[FoundKey]:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= MAX_SCANNED:
            return
        line, is_private = read_key(path)
    except (OSError, FidokitError):
        return
    modified = datetime.fromtimestamp(status.st_mtime, timezone.utc)  # noqa: UP017  Python 3.9
    yield FoundKey(path, line, is_private, modified)


def read_key(path: Path) -> tuple[PublicLine, bool]:
    """The public key of a key file, and whether it is the private half; no passphrase needed.

    Raises:
        MalformedKey: it is not a key file; others as `keyfile.read_bounded`.
    """
    data = read_bounded(path, MAX_SCANNED)
    require_own_form(path, data)
    if data.lstrip().startswith(_PRIVATE_HEAD):
        # Most folders hold none of a token's keys; its ciphers and containers take 3 ms to import.
        from fidokit.openssh.keys import private

        return PublicLine(private.peek_public(data), ""), True
    if path.name in _LISTS:
        data = b""
    return public.parse_public_line(data), False
