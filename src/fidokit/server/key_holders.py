"""Users of this machine who have keys, and the keys that sshd would look at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
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

    Args:
        patterns: of sshd's AuthorizedKeysFile.
    """
    import pwd  # noqa: PLC0415  Windows has no such module

    if os.geteuid() != 0:
        return [account()]
    found = [Account(u.pw_name, u.pw_uid, u.pw_gid, Path(u.pw_dir)) for u in pwd.getpwall()]
    return [user for user in _once(found) if _has_file(user, patterns)]


def keyless(patterns: Sequence[str]) -> list[str]:
    """Names of people, by their shell and number, who have no key in a file; root can see.

    Args:
        patterns: of sshd's AuthorizedKeysFile.
    """
    import pwd  # noqa: PLC0415  as above

    if os.geteuid() != 0:
        return []
    people = [u for u in pwd.getpwall() if u.pw_uid == 0 or _FIRST <= u.pw_uid < _LAST]
    found = [
        Account(u.pw_name, u.pw_uid, u.pw_gid, Path(u.pw_dir))
        for u in people
        if Path(u.pw_shell).name not in _NO_SHELLS
    ]
    return [user.name for user in _once(found) if not _has_file(user, patterns)]


def _once(users: Iterable[Account]) -> Iterator[Account]:
    yield from {user.name: user for user in users}.values()


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
