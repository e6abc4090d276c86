"""A user's key files: where they are, whether sshd would read them, and opening them as it does."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fidokit.server.accounts import Account, acting_as

DEFAULT: Final = ".ssh/authorized_keys"
"""sshd's first AuthorizedKeysFile where its configuration names none."""


def path_of(user: Account, pattern: str = DEFAULT) -> Path:
    """Where a user's keys are, by sshd_config's AuthorizedKeysFile.

    Args:
        pattern: one of its names; `%h`, `%u`, `%U` and `%%` are replaced, and what is not absolute
            is below the home folder (sshd_config(5)).
    """
    tokens = {"%h": str(user.home), "%u": user.name, "%U": str(user.uid), "%%": "%"}
    text, at = "", 0
    while at < len(pattern):
        token = pattern[at : at + 2]
        text += tokens.get(token, pattern[at])
        at += 2 if token in tokens else 1
    return user.home / text


# --- StrictModes ---------------------------------------------------------------------------
# Source: sshd_config(5), "StrictModes", and what sshd does: the file and every folder above it, up
# to the home folder, must belong to the user or to root, and nobody else may write to them.

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_SUPERUSER: Final = 0


def strict_modes_problems(path: Path, account: Account) -> list[str]:
    """Why sshd passes over a file, a sentence each; empty if it would read it.

    Args:
        path: any; symbolic links are followed first, as sshd does.
        account: whose file it is.
    """
    real = Path(os.path.realpath(path))
    return [why for place in _judged(real, account.home) for why in _why_not(place, account)]


def _judged(path: Path, home: Path) -> Iterator[Path]:
    """The file, and the folders above it up to the user's home, or to / where it lies elsewhere."""
    yield path
    top = Path(os.path.realpath(home))
    for folder in path.parents:
        yield folder
        if folder == top:
            return


def _why_not(path: Path, account: Account) -> Iterator[str]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return  # it will be made, by this user
    except OSError as error:
        yield f"{path} cannot be checked: {os.strerror(error.errno or 0)}"
        return
    if found.st_uid not in {_SUPERUSER, account.uid}:
        yield f"{path} belongs neither to {account.name} nor to root"
    if found.st_mode & _OTHERS_WRITE:
        yield f"others than its owner may write to {path}; fix it with: chmod go-w {path}"


# --- opening -------------------------------------------------------------------------------

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a FIFO must not hang


@dataclass(frozen=True)
class KeySource:
    """A file that was found.

    Attributes:
        path: as sshd names it.
        identity: device and inode; what two users share has one.
        refusals: why sshd does not read it; empty if it does.
        warnings: why it would not, were StrictModes on.
        hidden: why this process cannot; empty if it can.
        file: open for reading; None if it is hidden, or no file.
        special: what it is if it is neither file nor folder, such as "a FIFO".
        size: of a file, in bytes.
    """

    path: Path
    identity: tuple[int, int] | None = None
    refusals: tuple[str, ...] = ()
    hidden: str = ""
    file: BinaryIO | None = None
    warnings: tuple[str, ...] = ()
    special: str = ""
    size: int = 0


@contextmanager
def opened_keys(user: Account, path: Path, *, strict: bool) -> Iterator[KeySource | None]:
    """Look at a file of a user's; None if there is none.

    Args:
        user: whose file; root looks with this user's rights, anybody else with their own.
        strict: whether StrictModes is on.
    """
    with _rights_of(user):
        source = _open(user, path, strict=strict)
    try:
        yield source
    finally:
        if source and source.file:
            source.file.close()


def _rights_of(user: Account) -> AbstractContextManager[None]:
    return acting_as(user) if os.geteuid() == 0 else nullcontext()


def _open(user: Account, path: Path, *, strict: bool) -> KeySource | None:
    try:
        descriptor = os.open(path, _READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:  # a NUL in a name
        return None
    except OSError as error:
        return _not_opened(user, path, error)
    found = os.fstat(descriptor)
    identity = (found.st_dev, found.st_ino)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        special = "" if stat.S_ISDIR(found.st_mode) else _kind(found.st_mode)
        return KeySource(path, identity, (f"{path} is not a regular file",), special=special)
    problems = tuple(strict_modes_problems(path, user))
    file = os.fdopen(descriptor, "rb")
    if strict:
        return KeySource(path, identity, problems, file=file, size=found.st_size)
    return KeySource(path, identity, file=file, warnings=problems, size=found.st_size)


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def _not_opened(user: Account, path: Path, error: OSError) -> KeySource:
    why = os.strerror(error.errno or 0)
    if isinstance(error, PermissionError) and os.geteuid() not in {0, user.uid}:
        return KeySource(path, hidden=f"{path} cannot be read by you; root can look")
    return KeySource(path, refusals=(f"{path} cannot be opened with {user.name}'s rights: {why}",))
