"""One process owns a powered token: an exclusive lock beside its state file, from plug to unplug.

The lock is taken on a sidecar, not on the state file: closing any descriptor of a file drops the
POSIX locks that SQLite holds on it in the same process.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final, Self

from fidokit.errors import NoPermission, StateUnusable, TokenBusy, Unsupported

_SUFFIX: Final = ".lock"
_OWNER_TEXT_LIMIT: Final = 32


def lock_path(state: Path) -> Path:
    """The sidecar whose lock stands for owning the token that lives in `state`."""
    return state.with_name(state.name + _SUFFIX)


class Ownership:
    """The right to use one token's state file; given back by `release` or when the process ends."""

    def __init__(self, sidecar: Path, descriptor: int) -> None:
        self._sidecar = sidecar
        self._descriptor = descriptor

    @classmethod
    def acquire(cls, state: Path) -> Self:
        """Take the token that lives in `state`.

        Raises:
            TokenBusy: this or another process has it plugged in.
            NoPermission: the folder does not let this user make the lock.
            Unsupported: the platform has no such locks.
        """
        sidecar = lock_path(state)
        while True:
            descriptor = _open(sidecar)
            try:
                _lock(state, descriptor)
                if _still_there(sidecar, descriptor):
                    _write_owner(descriptor)
                    return cls(sidecar, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            # The owner before us deleted the token and this sidecar with it: look again.
            os.close(descriptor)

    def release(self) -> None:
        """Let the next process have the token; harmless when repeated."""
        if self._descriptor >= 0:
            _unlock(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def forget(self) -> None:
        """Remove the sidecar too: the token is deleted."""
        self._sidecar.unlink(missing_ok=True)
        self.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _open(sidecar: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(sidecar, flags, 0o600)
    except PermissionError as error:
        raise NoPermission(
            f"the lock {sidecar} of the virtual token cannot be opened",
            hint="give the file and its folder to your user, or choose another XDG_STATE_HOME",
        ) from error
    except OSError as error:
        raise StateUnusable(
            f"the lock {sidecar} of the virtual token cannot be made: {error.strerror}",
            hint="free some space, or choose a writable folder with XDG_STATE_HOME",
        ) from error


def _lock(state: Path, descriptor: int) -> None:
    if sys.platform == "win32":
        raise Unsupported(
            "virtual tokens with a file need POSIX file locks, which Windows does not have",
            hint="use a virtual token in memory, or WSL",
        )
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _busy(state, descriptor) from None


def _unlock(descriptor: int) -> None:
    # Closing alone is not enough: a forked child has a copy of the descriptor, and the lock by it.
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _still_there(sidecar: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(sidecar.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_owner(descriptor: int) -> None:
    # Only a courtesy for the message of TokenBusy, so a full disk must not stop us.
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return


def _busy(state: Path, descriptor: int) -> TokenBusy:
    owner = os.pread(descriptor, _OWNER_TEXT_LIMIT, 0).decode("ascii", "replace").strip()
    who = f"process {owner}" if owner.isdecimal() else "another process"
    if owner == str(os.getpid()):
        who = "this very process"
    return TokenBusy(
        f"the virtual token {state.stem!r} is plugged in already, in {who}",
        hint="close that program first, or talk to the token through it",
    )
