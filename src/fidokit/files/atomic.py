"""Files that appear whole or not at all, and never over another one by accident.

A file is written under a temporary name beside its destination, synced, and then given its name
in one step: by `link`, which fails where the name is taken, so that two writers can never both
believe they won; or by `rename` where replacing is wanted. The folder is synced after.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final

from fidokit.errors import WouldOverwrite
from fidokit.files.disk_errors import explained

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644

# Windows has neither of the last two, and no folders to sync.
_CREATE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_FOLDER = getattr(os, "O_DIRECTORY", None)
STALE: Final = 3600.0
"""Seconds after which a temporary file belongs to no write any more."""

_TEMPORARY: Final = re.compile(r"\.fidokit-[0-9a-f]{16}\.tmp")
_MOST_ENTRIES: Final = 10_000
"""Of one folder, so that a huge one does not hold up a small file."""

_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_new(path: Path, data: bytes, mode: int = PRIVATE_MODE) -> None:
    """Create a file that must not exist yet, with all of `data` in it.

    Raises:
        WouldOverwrite: the name is taken, be it by a symbolic link that leads nowhere.
        NoPermission, FidokitError: the disk refused; then nothing was created.
    """
    with explained(path), staged(path, data, mode) as temporary:
        claim(temporary, path)


def replace(path: Path, data: bytes, mode: int = PRIVATE_MODE) -> None:
    """Put `data` in the place of a file in one step, or create it.

    Raises:
        WouldOverwrite: the name belongs to a symbolic link or to no regular file.
        NoPermission, FidokitError: the disk refused; then the old file is untouched.
    """
    refuse_special(path)
    with explained(path), staged(path, data, mode) as temporary:
        temporary.rename(path)
        sync_folder(path.parent)


@contextmanager
def staged(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """A synced temporary file beside `path`; gone after the block unless renamed inside it.

    The name does not derive from `path`'s, which may use up all of the 255 bytes a name has.
    """
    with reserved(path.parent) as temporary:
        _write_synced(temporary, data, mode)
        yield temporary


@contextmanager
def reserved(folder: Path) -> Iterator[Path]:
    """A name for a temporary file in a folder; what has it after the block is removed."""
    _sweep(folder)
    temporary = folder / f".fidokit-{os.urandom(8).hex()}.tmp"
    try:
        yield temporary
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def _sweep(folder: Path) -> None:
    """Remove what a crash of ours left in the folder: nobody was ever told of what is in it.

    Only regular files of this user with exactly our form of name go, and only after an hour: a
    write that is under way lives for milliseconds. Whatever fails here is no business of the
    file that is about to be written.
    """
    if not hasattr(os, "geteuid"):
        return  # without owners nothing tells ours from another user's
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            if _TEMPORARY.fullmatch(entry.name) and _is_stale(entry.stat(follow_symlinks=False)):
                os.unlink(entry.path)  # noqa: PTH108  already a path's text


def _is_stale(found: os.stat_result) -> bool:
    own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
    return own and time.time() - found.st_mtime > STALE


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, _CREATE, PRIVATE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if hasattr(os, "fchmod"):
            os.fchmod(descriptor, mode)  # whatever the umask: ssh refuses a wider private file
        os.fsync(descriptor)


def claim(temporary: Path, path: Path) -> None:
    """Give the staged file its name, which nobody may have. Raises FileExistsError."""
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        _claim_without_links(temporary, path)
    sync_folder(path.parent)


def _claim_without_links(temporary: Path, path: Path) -> None:
    """For FAT and the like: take the name with an empty file of ours, then rename over that."""
    os.close(os.open(path, _CREATE, PRIVATE_MODE))
    temporary.rename(path)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    if _FOLDER is None:
        return
    descriptor = os.open(folder, os.O_RDONLY | _FOLDER)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_special(path: Path) -> None:
    """Raise WouldOverwrite unless `path` is free or a regular file.

    A link is not followed: what it leads to was not named by the user.
    """
    with explained(path):
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:
            return
    if stat.S_ISLNK(mode):
        raise WouldOverwrite(
            f"{path} is a symbolic link",
            hint=f"name the file it leads to: {os.path.realpath(path)}",
        )
    if not stat.S_ISREG(mode):
        raise WouldOverwrite(f"{path} is not a regular file", hint="choose another name")
