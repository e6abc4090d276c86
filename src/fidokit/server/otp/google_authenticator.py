"""A user's ~/.google_authenticator on this machine: read, written whole, judged as PAM would."""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, FileInTheWay, MalformedFile, NotEnrolled, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explain, explained
from fidokit.server.accounts import Account, acting_as
from fidokit.server.locks import taken
from fidokit.server.otp.format import MAX_FILE, OtpFile, parse
from fidokit.server.otp.pam import HOME, SecretPlace

MODE: Final = 0o400
_ALL_BITS: Final = 0o3777
"""Of a mode that the PAM module looks at."""

_TRIES: Final = 100
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a FIFO must not hang
_PROBE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def problem(user: Account, place: SecretPlace = HOME) -> str:
    """Why the PAM module would let this user in by no code; empty if it would.

    Raises:
        NoPermission: this process runs as somebody else and is not root.
    """
    path, actor = place.path(user), place.actor(user)
    with acting_as(actor, alone=True):
        try:
            content, found = _load(path)
        except FidokitError as error:  # read as that user, as the module does: it would fail too
            return error.message
    if content.method is None:
        return f"{path} is for neither TOTP nor HOTP"
    if place.strict_owner and found.st_uid != actor.uid:
        return f"{path} does not belong to {actor.name}"
    if stat.S_IMODE(found.st_mode) & _ALL_BITS & ~place.allowed_mode:
        who = f"others than {actor.name} may use {path}: its mode is {stat.filemode(found.st_mode)}"
        return f"{who}; fix it with: chmod 0400 {shlex.quote(str(path))}"
    return unwritable(user, place) if content.notes_logins else ""


def unwritable(user: Account, place: SecretPlace = HOME) -> str:
    """Why the PAM module could not note down a login, and would refuse it; empty if it could.

    It writes a new file beside the old one, with the rights of its `user=` or of who logs in, and
    renames it. That is tried here, but for the renaming.
    """
    path, actor = place.path(user), place.actor(user)
    if not place.must_write:
        return ""
    with acting_as(actor, alone=True):
        why = _why_not_replaced(path, actor.uid)
    return why and f"{why}, and each login must rewrite {path}"


def _why_not_replaced(path: Path, uid: int) -> str:
    folder = path.parent
    try:
        found, inside = folder.stat(), path.lstat()
        if found.st_mode & stat.S_ISVTX and uid not in {found.st_uid, inside.st_uid, 0}:
            return f"{folder} does not let users replace files of others (sticky bit)"
        if any(map(_is_fixed, (folder, path))):
            return f"{folder} or the file may not be changed (chattr)"
        if _is_mounted(path):
            return f"{path} is a mount point"
        probe = folder / f".fidokit-{os.urandom(8).hex()}.tmp"
        descriptor = os.open(probe, _PROBE, 0o400)
        try:
            os.write(descriptor, b"\0" * inside.st_size)  # a full disk says so here
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        return f"{folder} cannot be written to: {os.strerror(error.errno or 0)}"
    return ""


_FLAGS: Final = 0x80086601  # FS_IOC_GETFLAGS, ioctl_iflags(2)
_APPEND_OR_IMMUTABLE: Final = 0x30


def _is_fixed(path: Path) -> bool:
    with suppress(OSError):
        descriptor = os.open(path, _READ)
        try:
            flags = fcntl.ioctl(descriptor, _FLAGS, bytes(8))
            return bool(int.from_bytes(flags[:4], sys.byteorder) & _APPEND_OR_IMMUTABLE)
        finally:
            os.close(descriptor)
    return False  # a file system without such flags


def _is_mounted(path: Path) -> bool:
    with suppress(OSError):
        mounts = Path("/proc/self/mountinfo").read_bytes().splitlines()
        return os.fsencode(path) in {line.split(b" ")[4] for line in mounts if line.count(b" ") > 4}
    return False


def load(user: Account, place: SecretPlace = HOME) -> OtpFile:
    """A user's file.

    Raises:
        NotEnrolled: there is none; MalformedFile: the PAM module would not take it.
        NoPermission, UsageError: it may not be read, or is not a regular file.
    """
    with acting_as(place.actor(user)):
        return _load(place.path(user))[0]


def check_free(user: Account, place: SecretPlace = HOME) -> None:
    """Refuse early what `create` would refuse late; raises FileInTheWay."""
    path = place.path(user)
    with acting_as(place.actor(user)), explained(path):
        if os.path.lexists(path):
            raise _in_the_way(path)


def create(
    user: Account, content: OtpFile, *, force: bool = False, place: SecretPlace = HOME
) -> Path:
    """Give a user a new file, with the rights that the module has when it reads it.

    Args:
        user: whose; anybody else's only as root.
        content: see `fidokit.server.otp.format.compose`.
        force: put it in the place of another.
        place: where the module looks; a folder of root's is made.

    Raises:
        FileInTheWay: there is one; WouldOverwrite: a symbolic link or the like has its name.
        NoPermission, FidokitError: the disk refused.
    """
    path, actor = place.path(user), place.actor(user)
    write = atomic.replace if force else atomic.write_new
    with acting_as(actor):
        if place.reader is not None:
            with explained(path.parent):
                path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            write(path, content.encode(), MODE)
        except FileInTheWay:
            raise _in_the_way(path) from None
    return path


def edit(user: Account, change: Callable[[OtpFile], OtpFile], place: SecretPlace = HOME) -> OtpFile:
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
    with acting_as(place.actor(user)):
        return _edit(Path(os.path.realpath(place.path(user))), change)


def _edit(path: Path, change: Callable[[OtpFile], OtpFile]) -> OtpFile:
    for _ in range(_TRIES):
        with _locked(path):
            before, found = _load(path)
            after = change(before)
            if after == before or _exchanged(path, after, found):
                return after
    raise FidokitError(f"{path} keeps changing", hint="wait until nobody logs in")


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Be the only one of us who changes a file: by itself, which nobody else can open."""
    with ExitStack() as stack:
        with suppress(OSError):  # what is wrong is told by who reads the file
            while not _is_of(_taken(stack, path), path):
                pass  # it was replaced meanwhile
        yield


def _taken(stack: ExitStack, path: Path) -> int:
    descriptor = os.open(path, _READ)
    stack.callback(os.close, descriptor)
    taken(descriptor, path)
    return descriptor


def _is_of(descriptor: int, path: Path) -> bool:
    found, named = os.fstat(descriptor), path.stat()
    return (found.st_dev, found.st_ino) == (named.st_dev, named.st_ino)


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
            raise UsageError(f"{path} is not a regular file", hint="move it away")
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MAX_FILE + 1), found
