"""Which criteria sshd_config's Match blocks use: without any, every user's settings are one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path
from typing import Final

MAIN: Final = "/etc/ssh/sshd_config"
_BASE: Final = "/etc/ssh"
_DEEPEST: Final = 16
"""Levels of Include, as sshd has it."""

_MATCH: Final = re.compile(r"(?im)^[ \t]*match\b(.*)$")
_INCLUDE: Final = re.compile(r"(?im)^[ \t]*include[ \t=]+(.*)$")
OF_PLACES: Final = frozenset({"address", "host", "localaddress", "localport", "rdomain", "version"})
"""The criteria that look at where a login comes from, or by what program."""

OF_USERS: Final = frozenset({"group", "invalid-user", "user"})
"""The criteria that look at whose login it is."""

_CRITERIA: Final = OF_PLACES | OF_USERS

Read = Callable[[str], str]


def _read(path: str) -> str:
    return Path(path).read_text("utf-8", "replace")


def criteria(config: str = MAIN, read: Read = _read) -> frozenset[str]:
    """The criteria in a configuration and what it includes, in lower case; all where in doubt.

    A word too many is named rather than one too few: it costs time, not truth.

    Args:
        config: the main file.
        read: gives a file's text; raises OSError.
    """
    found: set[str] = set()
    try:
        for text in _texts(config, read, _DEEPEST):
            for line in _MATCH.findall(text):
                found |= _CRITERIA & set(re.findall(r"[a-z-]+", line.lower()))
    except OSError:
        return _CRITERIA
    return frozenset(found)


def _texts(path: str, read: Read, depth: int) -> Iterator[str]:
    text = read(path)
    yield text
    if not depth:
        raise OSError("files include each other without end")
    for names in _INCLUDE.findall(text):
        for name in re.findall(r'"([^"]*)"|(\S+)', names):
            pattern = Path(_BASE) / (name[0] or name[1])
            for included in sorted(glob(str(pattern))):  # noqa: PTH207  a pattern with a root
                yield from _texts(included, read, depth - 1)
