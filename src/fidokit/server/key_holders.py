"""Users of this machine who have keys, and the keys that sshd would look at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.authorized_keys import AuthorizedKey
from fidokit.server.accounts import Account, account, acting_as
from fidokit.server.authorized_keys import MAX_FILE, lines_of
from fidokit.server.key_file import path_of

_FIRST, _LAST = 1000, 60000
"""User ids of people, as login.defs(5) has them by default."""

_NO_SHELLS: Final = frozenset({"nologin", "false", "sync", ""})


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """A user and the keys in their files, each once; comments are hostile text."""

    account: Account
    files: tuple[Path, ...]
    keys: tuple[AuthorizedKey, ...]


def holder(user: Account, patterns: Sequence[str]) -> KeyHolder:
    """A user's keys.

    Args:
        patterns: of sshd's AuthorizedKeysFile, for this user.

    Raises:
        NoPermission, FidokitError: a file that is there cannot be read.
    """
    files = tuple(dict.fromkeys(path_of(user, pattern) for pattern in patterns))
    found: dict[bytes, AuthorizedKey] = {}
    for path in files:
        for line in lines_of(_text(path, user)):
            if isinstance(line, AuthorizedKey):
                found.setdefault(line.key.blob(), line)  # sshd takes the first line that fits
    return KeyHolder(user, files, tuple(found.values()))


def everybody(patterns: Sequence[str]) -> list[Account]:
    """Users who have a file with keys; for whoever is not root, only themselves.

    A file that is everybody's says nothing of users without a shell.

    Args:
        patterns: of sshd's AuthorizedKeysFile.
    """
    if os.geteuid() != 0:
        return [account()]
    own = [pattern for pattern in patterns if not _is_shared(pattern)]
    return [
        user
        for user, shell in _users()
        if _has_file(user, own if Path(shell).name in _NO_SHELLS else patterns)
    ]


def keyless(patterns: Sequence[str]) -> list[str]:
    """Names of people, by their shell and number, who have no key in a file; root can see.

    Args:
        patterns: of sshd's AuthorizedKeysFile.
    """
    if os.geteuid() != 0:
        return []
    people = [
        user
        for user, shell in _users()
        if Path(shell).name not in _NO_SHELLS and (user.uid == 0 or _FIRST <= user.uid < _LAST)
    ]
    return [user.name for user in people if not _has_file(user, patterns)]


def _users() -> Iterable[tuple[Account, str]]:
    """Each user once, with their shell."""
    import pwd  # noqa: PLC0415  Windows has no such module

    return {
        u.pw_name: (Account(u.pw_name, u.pw_uid, u.pw_gid, Path(u.pw_dir)), u.pw_shell)
        for u in pwd.getpwall()
    }.values()


def _is_shared(pattern: str) -> bool:
    """Whether a pattern of AuthorizedKeysFile names one file for all users."""
    return pattern.startswith("/") and not any(token in pattern for token in ("%h", "%u", "%U"))


def _has_file(user: Account, patterns: Sequence[str]) -> bool:
    try:
        return bool(holder(user, patterns).keys)
    except FidokitError:
        return True  # so that they are looked at, and the reason is told


def _text(path: Path, user: Account) -> bytes:
    """What is in a file, read with the user's rights where we have the right to take them."""
    if os.geteuid() == 0:
        with acting_as(user):
            return _read(path)
    return _read(path)


def _read(path: Path) -> bytes:
    with explained(path):
        try:
            path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return b""
    return read_bounded(path, MAX_FILE)
