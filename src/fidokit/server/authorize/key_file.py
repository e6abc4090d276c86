"""A user's authorized_keys on this machine: read, locked, written whole; never lost."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fidokit.errors import NoPermission, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.server.accounts import Account, acting_as
from fidokit.server.authorize.lines import MAX_FILE, Change

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


def edit(
    user: Account, path: Path, change: Callable[[bytes], Change], *, dry_run: bool = False
) -> Change:
    """Change a user's authorized_keys with that user's rights.

    Whoever else does so at the same time waits: no line is lost. The file is replaced in one step;
    a crash leaves the old one or the new one. A symbolic link stays one.

    Args:
        user: whose file it is; anybody else's only as root.
        path: see `key_paths.path_of`.
        change: gets the text and gives what is to become of it.
        dry_run: find out and write nothing.

    Raises:
        NoPermission: the file or its folder belongs to somebody else.
        UsageError: it is no regular file, or larger than any such file.
    """
    with acting_as(user):
        real = Path(os.path.realpath(path))
        if dry_run:
            return change(_read(real))
        _make_folder(real.parent, user)
        with locked(real.parent):
            made = change(_read(real))
            if not made.is_empty:
                _write(real, made.after, user)
            return made


def _read(path: Path) -> bytes:
    with explained(path):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            return b""
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is no regular file", hint="move it away, or name another")
    return read_bounded(path, MAX_FILE)


def _make_folder(folder: Path, user: Account) -> None:
    with explained(folder):
        if folder.parent == user.home and not folder.exists():
            folder.mkdir(_FOLDER_MODE, exist_ok=True)  # another process may be as far
            folder.chmod(_FOLDER_MODE)  # whatever the umask
        owner = folder.stat().st_uid
    if owner != user.uid:
        raise NoPermission(
            f"{folder} does not belong to {user.name}",
            hint=f"give it back: chown {user.name} {folder}",
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one of us who changes files in a folder; the lock dies with its process."""
    with explained(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, text: bytes, user: Account) -> None:
    mode = _FILE_MODE
    with explained(path):
        if path.exists():
            found = path.stat()
            mode = stat.S_IMODE(found.st_mode) & ~(stat.S_IWGRP | stat.S_IWOTH)
            if found.st_uid != user.uid:
                raise NoPermission(
                    f"{path} does not belong to {user.name}: somebody else decides who logs in",
                    hint="ask them, or root",
                )
    atomic.replace(path, text, mode)
