"""One of us at a time: locks that no other user can take, with an end to the waiting."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir
from typing import Final

from fidokit.errors import FidokitError, NoPermission
from fidokit.files.disk_errors import explained
from fidokit.server.accounts import account

PATIENCE_S: Final = 30.0
"""Seconds for another fidokit to end: nothing is proved under a lock."""

_ROOTS: Final = Path("/run/fidokit")
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_STEP_S: Final = 0.1
_LOCKS: Final = Path("/proc/locks")


def own_folder() -> Path:
    """A folder of this user's own, which is made: /run/fidokit for root, else in the home or /tmp.

    Raises:
        NoPermission: somebody else made it, or may change what is in it.
        FidokitError: there is no room for it.
    """
    if os.geteuid() == 0:
        return _made(_ROOTS)
    with suppress(FidokitError):
        return _made(account().home / ".cache/fidokit")
    return _made(Path(gettempdir(), f"fidokit-{os.geteuid()}"))


def _made(folder: Path) -> Path:
    with explained(folder):
        folder.mkdir(mode=0o711, parents=True, exist_ok=True)
        found = folder.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not own or found.st_mode & _OTHERS_WRITE:
        raise NoPermission(
            f"others than you may change {folder}", hint=f"move it away: mv {folder} {folder}.odd"
        )
    return folder


@contextmanager
def only_one(patience: float | None = None) -> Iterator[None]:
    """Be the only one of us who changes sshd's files; the lock dies with its process.

    Args:
        patience: seconds to wait for another one; `PATIENCE_S` if None.

    Raises:
        FidokitError: another one has not ended; says which process.
    """
    path = own_folder() / "harden.lock"
    with explained(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        taken(descriptor, path, patience)
        yield
    finally:
        os.close(descriptor)


def taken(descriptor: int, path: Path, patience: float | None = None) -> None:
    """Lock an open file, which only those who may open it can do; closing it gives it back.

    Args:
        path: for the message.
        patience: seconds to wait for another one; `PATIENCE_S` if None.

    Raises:
        FidokitError: another one has not ended; says which process.
    """
    until = time.monotonic() + (PATIENCE_S if patience is None else patience)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise FidokitError(
                    f"{path} is locked by {_holder(descriptor)}",
                    hint="wait for it, or end it, and run the command again",
                ) from None
            time.sleep(_STEP_S)
        else:
            return


def _holder(descriptor: int) -> str:
    """The process that has a lock, by the kernel's list (proc(5), /proc/locks)."""
    inode = f":{os.fstat(descriptor).st_ino}"
    with suppress(OSError):
        for words in map(str.split, _LOCKS.read_text().splitlines()):
            if len(words) > 5 and words[1] == "FLOCK" and words[5].endswith(inode):
                return f"process {words[4]}{_command(words[4])}"
    return "a process that cannot be seen from here"


def _command(pid: str) -> str:
    with suppress(OSError):
        command = Path("/proc", pid, "cmdline").read_bytes().rstrip(b"\0")
        return f" ({command.replace(bytes(1), b' ').decode('utf-8', 'replace')[:200]})"
    return ""
