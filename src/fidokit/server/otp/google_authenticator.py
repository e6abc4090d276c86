"""A user's ~/.google_authenticator on this machine: read, written whole, judged as PAM would."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, FileInTheWay, MalformedFile, NotEnrolled, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explain, explained
from fidokit.server.accounts import Account, acting_as
from fidokit.server.authorize.key_file import locked
from fidokit.server.otp.format import MAX_FILE, OtpFile, parse

NAME: Final = ".google_authenticator"
MODE: Final = 0o400
_TOO_OPEN: Final = 0o3777 & ~0o600
"""Bits of a mode that the PAM module refuses."""

_TRIES: Final = 100
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a FIFO must not hang


def path_of(user: Account) -> Path:
    """Where the PAM module looks for a user's secret."""
    return user.home / NAME


def problem(user: Account) -> str:
    """Why the PAM module would let this user in by no code; empty where it would.

    Raises:
        NoPermission: this process runs as somebody else and is not root.
    """
    path = path_of(user)
    with acting_as(user):
        try:
            content, found = _load(path)
        except FidokitError as error:  # read as that user, as the module does: it would fail too
            return error.message
    if content.method is None:
        return f"{path} is for neither TOTP nor HOTP"
    if found.st_uid != user.uid:
        return f"{path} does not belong to {user.name}"
    if stat.S_IMODE(found.st_mode) & _TOO_OPEN:
        return f"others than {user.name} may use {path}: its mode is {stat.filemode(found.st_mode)}"
    return ""


def load(user: Account) -> OtpFile:
    """A user's file.

    Raises:
        NotEnrolled: there is none; MalformedFile: the PAM module would not take it.
        NoPermission, UsageError: it may not be read, or is no regular file.
    """
    with acting_as(user):
        return _load(path_of(user))[0]


def check_free(user: Account) -> None:
    """Refuse early what `create` would refuse late; raises FileInTheWay."""
    path = path_of(user)
    with acting_as(user), explained(path):
        if os.path.lexists(path):
            raise _in_the_way(path)


def create(user: Account, content: OtpFile, *, force: bool = False) -> Path:
    """Give a user a new file, with that user's rights.

    Args:
        user: whose; anybody else's only as root.
        content: see `fidokit.server.otp.format.compose`.
        force: put it in the place of another.

    Raises:
        FileInTheWay: there is one; WouldOverwrite: a symbolic link or the like has its name.
        NoPermission, FidokitError: the disk refused.
    """
    path = path_of(user)
    write = atomic.replace if force else atomic.write_new
    with acting_as(user), locked(user.home):
        try:
            write(path, content.encode(), MODE)
        except FileInTheWay:
            raise _in_the_way(path) from None
    return path


def edit(user: Account, change: Callable[[OtpFile], OtpFile]) -> OtpFile:
    """Change a user's file in one step, with that user's rights; a symbolic link stays one.

    The PAM module changes it at each login, and takes no lock: where it did so meanwhile, the
    change is made anew to what it wrote, so that a code that was used stays used.

    Args:
        change: gets the file and gives what is to become of it; may be called several times.

    Returns what is in the file now.

    Raises:
        NotEnrolled: there is none; MalformedFile: the PAM module would not take it.
        NoPermission, UsageError, FidokitError: it may not be used, or the disk refused.
    """
    with acting_as(user):
        real = Path(os.path.realpath(path_of(user)))
        with locked(real.parent):
            return _edit(real, change)


def _edit(path: Path, change: Callable[[OtpFile], OtpFile]) -> OtpFile:
    for _ in range(_TRIES):
        before, found = _load(path)
        after = change(before)
        if after == before or _exchanged(path, after, found):
            return after
    raise FidokitError(f"{path} changes all the time", hint="wait until nobody logs in")


def _exchanged(path: Path, after: OtpFile, found: os.stat_result) -> bool:
    """Whether the file was still the one that was read, and is replaced."""
    with explained(path), atomic.staged(path, after.encode(), MODE) as temporary:
        if _identity(path.stat()) != _identity(found):
            return False
        temporary.rename(path)
        atomic.sync_folder(path.parent)
    return True


def _identity(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _in_the_way(path: Path) -> FileInTheWay:
    return FileInTheWay(
        f"{path} already exists",
        hint="`fidokit otp verify` tries it; --force replaces it, and the app's entry is void then",
    )


def _load(path: Path) -> tuple[OtpFile, os.stat_result]:
    try:
        text, found = _read(path)
    except FileNotFoundError:
        raise NotEnrolled(
            f"{path} does not exist: no codes were set up",
            hint="`fidokit otp enroll` sets them up",
        ) from None
    try:
        return parse(text), found
    except MalformedFile as error:
        raise MalformedFile(
            f"{path}: {error.message}",
            hint="the PAM module refuses it too; `fidokit otp enroll --force` makes a new one",
        ) from None


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise explain(error, path) from error
    with explained(path):
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise UsageError(f"{path} is no regular file", hint="move it away")
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_FILE + 1), found
