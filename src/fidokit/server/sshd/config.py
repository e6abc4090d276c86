"""Reading sshd_config as sshd does: its lines, the files it includes, and which line counts.

Source: sshd_config(5). sshd itself judges what the lines mean (`sshd.query`); this finds where
they stand, so that a user can be told.
"""

from __future__ import annotations

import glob
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from fidokit.files.keyfile import read_bounded

DEFAULT: Final = Path("/etc/ssh/sshd_config")
MAX_FILE: Final = 1 << 20
"""Bytes: no configuration comes near."""

_MAX_DEPTH: Final = 16
"""Of files that include each other, as in sshd (SERVCONF_MAX_DEPTH)."""

_WILD: Final = frozenset("*?[")


@dataclass(frozen=True)
class Line:
    """A directive where it stands.

    Attributes:
        keyword: in lower case.
        match: the conditions of the Match block that it is in; empty for none.
    """

    path: Path
    number: int
    keyword: str
    values: tuple[str, ...]
    match: str = ""

    @property
    def place(self) -> str:
        """File and line, as people say them."""
        return f"{self.path}:{self.number}"


@dataclass(frozen=True)
class Include:
    """A line that includes a folder, before any Match block."""

    number: int
    patterns: tuple[str, ...]
    folder: Path


def parse(path: Path, text: bytes, match: str = "") -> Iterator[Line]:
    """The directives of one file.

    Args:
        match: the Match block from which it is included.
    """
    for number, raw in enumerate(text.decode("utf-8", "replace").split("\n"), 1):
        words = _words(raw)
        if not words:
            continue
        keyword, *values = words
        if keyword.lower() == "match":
            match = " ".join(values)
            continue
        yield Line(path, number, keyword.lower(), tuple(values), match)


def walk(path: Path, match: str = "", depth: int = 0) -> Iterator[Line]:
    """The directives in the order in which sshd meets them; the first one counts.

    Raises:
        FidokitError: the file cannot be read.
    """
    for line in parse(path, read_bounded(path, MAX_FILE), match):
        if line.keyword != "include":
            yield line
        elif depth < _MAX_DEPTH:
            for found in included(line.values):
                yield from walk(found, line.match, depth + 1)


def included(patterns: tuple[str, ...]) -> list[Path]:
    """The files that an Include line brings in, in sshd's order."""
    return [
        Path(os.fsdecode(name))
        for pattern in patterns
        for name in sorted(glob.glob(os.fsencode(_absolute(pattern))))  # noqa: PTH207  in bytes
    ]


def folder_of_drop_ins(config: Path, text: bytes, name: str, *, not_taken: str) -> Include | None:
    """Where a file of a name would be read, if there is an Include for it.

    Only a folder beside the configuration counts: whoever tries things out on a copy must not
    change what the original includes.

    Args:
        config: the main file, without symbolic links.
        name: of the drop-in.
        not_taken: a name that must not be read, which the original of a file gets.
    """
    for line in parse(config, text):
        if line.match:
            return None
        for pattern in line.values if line.keyword == "include" else ():
            folder, _, names = _absolute(pattern).rpartition("/")
            real = Path(os.path.realpath(folder))
            beside = not _WILD & set(folder) and real.is_relative_to(config.parent)
            if beside and fnmatchcase(name, names) and not fnmatchcase(not_taken, names):
                return Include(line.number, line.values, real)
    return None


def with_drop_in(text: bytes, include: Include, drop_in: Path, trial: Path | None) -> bytes:
    """The main file as it would be read with another drop-in, without touching the folder.

    Args:
        drop_in: the file in the folder that counts no longer.
        trial: what counts in its place; None if it is to be gone.
    """
    files: list[Path] = []
    for pattern in include.patterns:
        folder, _, names = _absolute(pattern).rpartition("/")
        ours = Path(os.path.realpath(folder)) == include.folder
        found = {path for path in included((pattern,)) if path.name != drop_in.name or not ours}
        if ours and fnmatchcase(drop_in.name, names):
            found.add(Path(folder) / drop_in.name)
        files += sorted(found, key=os.fsencode)
    lines = text.split(b"\n")
    lines[include.number - 1] = b"\n".join(
        b'Include "%s"' % os.fsencode(glob.escape(str(path)))
        for path in _replaced(files, include.folder / drop_in.name, trial)
    )
    return b"\n".join(lines)


def _replaced(files: list[Path], old: Path, new: Path | None) -> Iterator[Path]:
    for path in files:
        if Path(os.path.realpath(path.parent)) / path.name != old:
            yield path
        elif new is not None:
            yield new


def _absolute(pattern: str) -> str:
    return pattern if pattern.startswith("/") else f"{DEFAULT.parent}/{pattern}"


def _words(raw: str) -> list[str]:
    """Keyword and arguments; sshd takes = between them, too."""
    text = raw.strip()
    if not text or text.startswith("#"):
        return []
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        words = text.split()
    keyword, equals, rest = words[0].partition("=")
    if equals:
        return [keyword, *([rest] if rest else []), *words[1:]]
    if len(words) > 1 and words[1].startswith("="):
        return [keyword, *([words[1][1:]] if words[1] != "=" else []), *words[2:]]
    return words
