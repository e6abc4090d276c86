"""Opening a user's authorized_keys as sshd does: with that user's rights, a regular file alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from fidokit.server import strict_modes
from fidokit.server.accounts import Account, acting_as

_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # opening a FIFO must not hang


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was found.

    Attributes:
        path: as sshd names it.
        identity: device and inode; what two users share has one.
        refusals: why sshd does not read it; empty where it does.
        warnings: why it would not, were StrictModes on.
        hidden: why this process cannot; empty where it can.
        file: open for reading; None where it is hidden, or no file.
    """

    path: Path
    identity: tuple[int, int] | None = None
    refusals: tuple[str, ...] = ()
    hidden: str = ""
    file: BinaryIO | None = None
    warnings: tuple[str, ...] = ()


@contextmanager
def opened(user: Account, path: Path, *, strict: bool) -> Iterator[Source | None]:
    """Look at a file of a user's; None where there is none.

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


def _open(user: Account, path: Path, *, strict: bool) -> Source | None:
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
        return Source(path, identity, (f"{path} is no regular file",))
    problems = tuple(strict_modes.problems(path, user))
    file = os.fdopen(descriptor, "rb")
    if strict:
        return Source(path, identity, problems, file=file)
    return Source(path, identity, file=file, warnings=problems)


def _not_opened(user: Account, path: Path, error: OSError) -> Source:
    why = os.strerror(error.errno or 0)
    if isinstance(error, PermissionError) and os.geteuid() not in {0, user.uid}:
        return Source(path, hidden=f"{path} cannot be read by you; root can look")
    return Source(path, refusals=(f"{path} cannot be opened with {user.name}'s rights: {why}",))
