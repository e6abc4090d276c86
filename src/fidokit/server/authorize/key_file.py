"""A file of a user's keys on this machine: read, locked, written whole; never lost."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Final

from fidokit.errors import NoPermission, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.server.accounts import Account, acting_as
from fidokit.server.authorize.lines import MAX_FILE, Change
from fidokit.server.authorize.places import FileKeeper, is_roots, keeper_of
from fidokit.server.locks import taken

PATIENCE_S: Final = 10.0
"""Seconds to wait for another process that changes the same folder."""

_FOLDER_MODES: Final = {FileKeeper.USER: 0o700, FileKeeper.ROOT: 0o755}
_FILE_MODES: Final = {FileKeeper.USER: 0o600, FileKeeper.ROOT: 0o644}
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_ALL_READ: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH


def edit(
    user: Account, path: Path, change: Callable[[bytes], Change], *, dry_run: bool = False
) -> Change:
    """Change a file of a user's keys, with the rights of whoever keeps it.

    Whoever else does so at the same time waits: no line is lost. The file is replaced in one step;
    a crash leaves the old one or the new one. A symbolic link stays one.

    What lies in a user's own folder is changed as that user, since every name there is theirs to
    change meanwhile. What root keeps for its users stays root's, and readable for sshd, which opens
    it with the user's rights.

    Args:
        user: whose logins it is about; anybody else's only as root.
        path: see `key_paths.path_of`.
        change: gets the text and gives what is to become of it.
        dry_run: find out and write nothing.

    Raises:
        NoPermission: the file or its folder belongs to somebody else.
        UsageError: it is not a regular file, or larger than any such file.
        FidokitError: another process keeps it locked.
    """
    keeper = keeper_of(user, path)
    with acting_as(user) if keeper == FileKeeper.USER else nullcontext():
        real = Path(os.path.realpath(path))
        if dry_run:
            return change(_read(real))
        _make_folder(real.parent, user, keeper)
        with locked(real.parent):
            made = change(_read(real))
            if not made.is_empty:
                _write(real, made.after, user, keeper)
            return made


def read(user: Account, path: Path) -> bytes | None:
    """What is in a file of a user's keys; None if there is none.

    Raises:
        NoPermission, UsageError: as `edit`.
    """
    as_we_are = os.geteuid() not in {0, user.uid} or is_roots(path)
    with nullcontext() if as_we_are else acting_as(user):
        real = Path(os.path.realpath(path))
        with explained(real):
            try:
                real.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
        return _read(real)


def _read(path: Path) -> bytes:
    with explained(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return b""
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path} is not a regular file", hint="move it away, or name another")
    return read_bounded(path, MAX_FILE)


def _make_folder(folder: Path, user: Account, keeper: FileKeeper) -> None:
    with explained(folder):
        if not folder.exists() and (keeper == FileKeeper.ROOT or folder.parent == user.home):
            mode = _FOLDER_MODES[keeper]
            folder.mkdir(mode, exist_ok=True)  # another process may be as far
            folder.chmod(mode)  # whatever the umask
        owner = folder.stat().st_uid
    if keeper == FileKeeper.USER and owner != user.uid:
        raise NoPermission(
            f"{folder} does not belong to {user.name}", hint=f"see who owns it: ls -ld {folder}"
        )


# --- the lock --------------------------------------------------------------------------------


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one of us who changes files in a folder; the lock dies with its process.

    Raises:
        FidokitError: another process holds it for too long.
    """
    with explained(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        taken(descriptor, folder, PATIENCE_S)  # anybody who may read a folder may hold it
        yield
    finally:
        os.close(descriptor)


# --- writing ---------------------------------------------------------------------------------


def _write(path: Path, text: bytes, user: Account, keeper: FileKeeper) -> None:
    with explained(path):
        found = path.stat() if path.exists() else None
    if found is None:
        atomic.replace(path, text, _FILE_MODES[keeper])
        return
    mode = stat.S_IMODE(found.st_mode) & ~_OTHERS_WRITE
    if keeper == FileKeeper.USER:
        if found.st_uid != user.uid:
            raise NoPermission(
                f"{path} does not belong to {user.name}: another user decides who logs in",
                hint="ask them, or root",
            )
        atomic.replace(path, text, mode)
        return
    if found.st_uid != user.uid:
        mode |= _ALL_READ  # sshd reads it with the user's rights
    _replace_as_it_was(path, text, mode, found)


def _replace_as_it_was(path: Path, text: bytes, mode: int, found: os.stat_result) -> None:
    """Replace a file in a folder of root's; its owner stays, who may be its user."""
    atomic.refuse_special(path)
    with explained(path), atomic.staged(path, text, mode) as temporary:
        os.chown(temporary, found.st_uid, found.st_gid)
        temporary.chmod(mode)
        temporary.rename(path)
        atomic.sync_folder(path.parent)
