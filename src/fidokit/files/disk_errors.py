"""What the operating system says about files, in our sentences."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError, FileInTheWay, NoPermission, UsageError

if TYPE_CHECKING:  # pathlib takes 3 ms to import, which `key show` does without
    from pathlib import Path

    StrPath = Path | str
    Maker = Callable[[StrPath], FidokitError]


def _exists(path: StrPath) -> FidokitError:
    return FileInTheWay(f"{path} already exists", hint="choose another name, or use --force")


def _denied(path: StrPath) -> FidokitError:
    return NoPermission(
        f"this user may not read or write {path}",
        hint="look at the owner and mode of the file and its folder with `ls -ld`",
    )


def _missing(path: StrPath) -> FidokitError:
    return FidokitError(f"{path} does not exist", hint="check the path")


def _full(path: StrPath) -> FidokitError:
    return FidokitError(
        f"there is no room on the disk for {path}", hint="free some space and try again"
    )


def _read_only(path: StrPath) -> FidokitError:
    return NoPermission(
        f"{path} is on a read-only file system", hint="choose a folder that can be written to"
    )


def _name_too_long(path: StrPath) -> FidokitError:
    name = os.path.basename(path)  # noqa: PTH119  without pathlib
    return UsageError(f"the file name {name[:40]}... is too long", hint="use a shorter one")


def _directory(path: StrPath) -> FidokitError:
    return UsageError(f"{path} is a folder", hint="name a file in it")


def _not_directory(path: StrPath) -> FidokitError:
    return UsageError(f"a part of {path} is a file, not a folder", hint="check the path")


def _loop(path: StrPath) -> FidokitError:
    return UsageError(f"{path} is a symbolic link that leads nowhere", hint="name the real file")


_FOR_ERRNO: Mapping[int, Maker] = {
    errno.EEXIST: _exists,
    errno.EACCES: _denied,
    errno.EPERM: _denied,
    errno.ENOENT: _missing,
    errno.ENOSPC: _full,
    errno.EDQUOT: _full,
    errno.EROFS: _read_only,
    errno.ENAMETOOLONG: _name_too_long,
    errno.EISDIR: _directory,
    errno.ENOTDIR: _not_directory,
    errno.ELOOP: _loop,
}


def explain(error: OSError, path: StrPath) -> FidokitError:
    """Our error for the system's, about `path`."""
    maker = _FOR_ERRNO.get(error.errno or 0)
    if maker:
        return maker(path)
    return FidokitError(
        f"{path}: {error.strerror or 'the system refused'}",
        hint="check that the disk is sound and mounted",
    )


@contextmanager
def explained(path: StrPath) -> Iterator[None]:
    """Turn any OSError inside the block into our error about `path`.

    Raises:
        UsageError: at once, where `path` cannot be a file's name.
    """
    _check_name(path)
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


def _check_name(path: StrPath) -> None:
    try:
        possible = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:  # a lone surrogate
        possible = False
    if not possible:
        raise UsageError(f"{str(path)!r} is not a file name", hint="check the path")
