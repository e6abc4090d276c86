"""Users of this machine who have keys, and the keys that sshd would look at."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, NoPermission
from fidokit.openssh.lines.authorized_keys import AuthorizedKey, parse_file
from fidokit.server.accounts import Account, account
from fidokit.server.check import key_source
from fidokit.server.key_paths import path_of

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
        NoPermission: a file that is there cannot be read.
    """
    files = tuple(dict.fromkeys(path_of(user, pattern) for pattern in patterns))
    found: dict[bytes, AuthorizedKey] = {}
    for path in files:
        for line in _lines(path, user):
            found.setdefault(line.key.blob(), line)  # sshd takes the first line that fits
    return KeyHolder(user, files, tuple(found.values()))


def _lines(path: Path, user: Account) -> Iterator[AuthorizedKey]:
    with key_source.opened(user, path, strict=False) as source:
        if source is None:
            return
        if source.hidden:
            raise NoPermission(source.hidden, hint="repeat it with sudo")
        if source.file:
            yield from (x for x in parse_file(source.file) if isinstance(x, AuthorizedKey))


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


def _users() -> Iterable[tuple[Account, str]]:
    """Each user once, with their shell."""
    import pwd

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
