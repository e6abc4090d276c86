"""A key's two files: checked before the token is asked, written as one, read within bounds."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from fidokit.errors import FidokitError, FileInTheWay, MalformedKey, NoPermission, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.foreign_formats import require_own_form
from fidokit.openssh.keys.public import as_bytes
from fidokit.types import KeyType

MAX_KEY_FILE = 1 << 20
"""Bytes; the largest stock key file is some 3 KB, so a megabyte is generous."""

_DEFAULT_NAME = {KeyType.ED25519_SK: "id_ed25519_sk", KeyType.ECDSA_SK: "id_ecdsa_sk"}
_READ = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO must not hang
    | getattr(os, "O_BINARY", 0)
)
_NAME_MAX = 255


def default_path(key_type: KeyType) -> Path:
    """Where ssh-keygen would put a key of this type: `~/.ssh/id_ed25519_sk` or `id_ecdsa_sk`."""
    return ssh_folder() / _DEFAULT_NAME[key_type]


def ssh_folder() -> Path:
    """The folder `~/.ssh` of this user."""
    return Path.home() / ".ssh"


def public_path(path: Path) -> Path:
    """The public half's path: `.pub` appended, never substituted.

    Raises:
        UsageError: the path ends in no name (it is empty, `.` or `/`).
    """
    return path.with_name(name_of(path) + ".pub")


def name_of(path: Path) -> str:
    """The name of a key file.

    Raises:
        UsageError: the path ends in no name (it is empty, `.` or `/`).
    """
    if not path.name:
        raise UsageError(f"{str(path)!r} names no file", hint="name one, such as ~/.ssh/id_work")
    return path.name


def check_pair_free(path: Path, *, force: bool = False) -> None:
    """Refuse early what `write_pair` would refuse late, before a token makes a key.

    Raises: as `check_free`.
    """
    check_free(path, public_path(path), force=force)


def check_free(*paths: Path, force: bool = False) -> None:
    """Refuse names that cannot be had, all of those that are taken in one error.

    Raises:
        FileInTheWay: some are taken and `force` is not given.
        WouldOverwrite: one cannot be replaced (a symbolic link, a folder).
        NoPermission, UsageError: a folder cannot be written to, or there is none.
    """
    for path in paths:
        _check_folder(path)
    taken = [path for path in paths if _taken(path)]
    for path in taken:
        atomic.refuse_special(path)
    if taken and not force:
        names = " and ".join(map(str, taken))
        it = ("exists", "it") if len(taken) == 1 else ("exist", "them")
        raise FileInTheWay(
            f"{names} already {it[0]}", hint=f"choose another name, or replace {it[1]} with --force"
        )


def _taken(path: Path) -> bool:
    with explained(path):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
        return True


def _check_folder(path: Path) -> None:
    folder = path.parent
    with explained(path):
        if len(os.fsencode(path.name)) > _NAME_MAX:
            raise UsageError("the file name is too long", hint="use a shorter one")
        if not stat.S_ISDIR(folder.stat().st_mode):
            raise UsageError(f"{folder} is not a folder", hint="check the path")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise NoPermission(
            f"this user may not create files in {folder}", hint="choose another folder"
        )


def ensure_ssh_folder(path: Path) -> None:
    """Create `~/.ssh` (mode 0700) if that is where `path` goes and it is missing."""
    if path.parent == ssh_folder():
        with explained(path.parent):
            path.parent.mkdir(mode=0o700, exist_ok=True)


class _Mark(NamedTuple):
    """Which file it is, to tell ours from one that took its name since."""

    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> _Mark:
        found = path.lstat()
        return cls(found.st_dev, found.st_ino)


def write_pair(path: Path, private: bytes, public_line: str, *, force: bool = False) -> None:
    """Write the private file (0600), then the public one (0644): both, or neither.

    Args:
        private: the whole private file.
        public_line: the public line, with or without its newline.
        force: replace what is there. The old public half goes first, so that a new private file
            never stands beside an old public one, whatever happens in between.

    Raises:
        WouldOverwrite: a name is taken; also when somebody took it since it was checked.
        NoPermission, FidokitError: the disk refused; no new file stays.
    """
    public = public_path(path)
    data = as_bytes(public_line.rstrip("\n")) + b"\n"
    if force:
        atomic.refuse_special(path)
        atomic.refuse_special(public)
    with ExitStack() as stack:
        stack.enter_context(explained(path))
        staged = stack.enter_context(atomic.staged(path, private, atomic.PRIVATE_MODE))
        staged_public = stack.enter_context(atomic.staged(public, data, atomic.PUBLIC_MODE))
        if force:
            _replace_pair(staged, path, staged_public, public)
        else:
            _claim_pair(staged, path, staged_public, public)


def _replace_pair(staged: Path, path: Path, staged_public: Path, public: Path) -> None:
    with suppress(FileNotFoundError):
        public.unlink()
    staged.rename(path)
    staged_public.rename(public)
    atomic.sync_folder(path.parent)


def _claim_pair(staged: Path, path: Path, staged_public: Path, public: Path) -> None:
    atomic.claim(staged, path)
    mine = _Mark.of(path)
    try:
        with explained(public):
            atomic.claim(staged_public, public)
    except FidokitError:
        if _Mark.of(path) == mine:
            path.unlink()
        raise


def read_private(path: Path) -> bytes:
    """The bytes of a private key file, at most 1 MB.

    Raises:
        UsageError: a folder, device, FIFO or socket.
        MalformedKey: larger than any key file, or one of another program.
        NoPermission, FidokitError: it cannot be read, or is not there.
    """
    data = read_bounded(path, MAX_KEY_FILE)
    require_own_form(path, data)
    return data


def read_bounded(path: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes; raises as `read_private`."""
    with explained(path):
        descriptor = os.open(path, _READ)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"{path} is not a regular file", hint="name a key file")
            data = file.read(limit + 1)
    if len(data) > limit:
        raise MalformedKey(
            f"{path} is larger than {limit} bytes, so it is not a key file", hint="check the path"
        )
    return data


def mode_warnings(path: Path) -> tuple[str, ...]:
    """Sentences about a private file that ssh would refuse, or that others may change."""
    with explained(path):
        mode = path.stat().st_mode
        folder_mode = path.absolute().parent.stat().st_mode
    warnings = []
    if mode & 0o077:
        warnings.append(
            f"others may access {path} (mode {mode & 0o777:04o}), so ssh will refuse it: "
            f"chmod 600 {path}"
        )
    if folder_mode & 0o022 and not folder_mode & stat.S_ISVTX:
        warnings.append(f"others may replace files in {path.absolute().parent}")
    return tuple(warnings)


PIECE: Final = 1 << 20
"""Bytes that are in memory at once."""


def pieces(source: Path | BinaryIO) -> Iterator[bytes]:
    """The bytes of a file, or of an open stream to its end, in pieces of at most `PIECE`.

    Raises:
        NoPermission, UsageError, FidokitError: the file cannot be read, or is not there.
    """
    if not isinstance(source, Path):
        yield from iter(lambda: source.read(PIECE), b"")
        return
    with explained(source), source.open("rb") as stream:
        yield from iter(lambda: stream.read(PIECE), b"")
