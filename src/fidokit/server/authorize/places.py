"""Which files sshd reads for a user, and which of them a key is written to, and as whom.

Besides `~/.ssh/authorized_keys`, which its user keeps, there are central folders, such as
`/etc/ssh/authorized_keys/%u`: root keeps them, and sshd reads them with the user's rights. A file
in a folder of root's is never handed to its user: whoever may write there lets everybody in.
"""

from __future__ import annotations

import glob
import os
import shlex
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, NoPermission, UsageError
from fidokit.files.keyfile import read_bounded
from fidokit.server.accounts import Account
from fidokit.server.key_paths import path_of
from fidokit.server.sshd.settings import SshdSettings
from fidokit.types import Word

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_WILD: Final = frozenset("*?[")
_GLOBS_SINCE: Final = (10, 0)
_MOST_MATCHES: Final = 1000
_MAX_CONFIG: Final = 1 << 20


class FileKeeper(Word):
    """Who keeps a file of keys."""

    USER = "user"
    ROOT = "root"


@dataclass(frozen=True)
class KeyPlace:
    """A file of keys that sshd reads for a user.

    Attributes:
        path: as sshd names it.
        shared: whether sshd reads this very file for every user.
    """

    path: Path
    shared: bool = False


def places_for(
    user: Account, settings: SshdSettings, version: tuple[int, int] | None = None
) -> list[KeyPlace]:
    """The files that sshd reads for a user, in order.

    Args:
        settings: effective for the user; `Sshd.explained` tells names with blanks apart.
        version: of OpenSSH: from 10.0 on a name may be a pattern of files.
    """
    found: dict[Path, KeyPlace] = {}
    for name in exact_names(settings):
        for path in _expanded(path_of(user, name), version):
            found.setdefault(path, KeyPlace(path, is_shared(name)))
    return list(found.values())


def is_shared(name: str) -> bool:
    """Whether a name of AuthorizedKeysFile is the same file for every user."""
    return name.startswith("/") and not {"%u", "%U", "%h"} & set(_tokens(name))


def _tokens(pattern: str) -> Iterator[str]:
    at = 0
    while at < len(pattern):
        size = 2 if pattern[at] == "%" else 1
        yield pattern[at : at + size]
        at += size


def _expanded(path: Path, version: tuple[int, int] | None) -> list[Path]:
    """The files of a pattern; the path itself where it is none, or nothing fits."""
    if not _WILD & set(str(path)) or (version and version < _GLOBS_SINCE):
        return [path]
    found = sorted(glob.glob(os.fsencode(path)))[:_MOST_MATCHES]  # noqa: PTH207  in bytes
    return [Path(os.fsdecode(name)) for name in found] or [path]


def exact_names(settings: SshdSettings) -> tuple[str, ...]:
    """AuthorizedKeysFile's names; one may hold blanks, which sshd prints without its quotes."""
    names = settings.key_files
    place = settings.place("authorizedkeysfile")
    if len(names) < 2 or place is None or not place.line:
        return names
    try:
        text = read_bounded(Path(place.path), _MAX_CONFIG).decode("utf-8", "surrogateescape")
        words = shlex.split(text.split("\n")[place.line - 1], comments=True)
    except (FidokitError, ValueError, IndexError):
        return names
    quoted = [word for word in words[1:] if word not in {"=", "none"}]
    return tuple(quoted) if " ".join(quoted).split() == list(names) else names


# --- where to write --------------------------------------------------------------------------


_HINT: Final = "root can change it: repeat the command with sudo"


def place_to_write(user: Account, places: Sequence[KeyPlace]) -> KeyPlace:
    """The first file that this process may write a user's keys to.

    Raises:
        FidokitError: there is none; says why of each.
    """
    refused: list[FidokitError] = []
    for place in places:
        try:
            if place.shared:
                raise _shared(user, place)
            keeper_of(user, place.path)
        except FidokitError as error:
            refused.append(error)
        else:
            return place
    if len(refused) == 1:
        raise refused[0]
    raise NoPermission("; ".join(error.message for error in refused), hint=_HINT)


def _shared(user: Account, place: KeyPlace) -> UsageError:
    return UsageError(
        f"{place.path} is read for every user of this machine, not for {user.name} alone",
        hint="give AuthorizedKeysFile a name with %u in it; or, to let the key in as everybody:"
        f" --path {shlex.quote(str(place.path))}",
    )


def keeper_of(user: Account, path: Path) -> FileKeeper:
    """Who keeps a file: as whom it is changed.

    Raises:
        NoPermission: somebody else than the user and root, or root, and this process is not root.
    """
    real = Path(os.path.realpath(path))
    below_home = _is_below(path, user.home)
    folder = real.parent
    if below_home and not folder.exists():
        return FileKeeper.USER
    owner = _owner(folder)
    if owner == user.uid and (user.uid != 0 or below_home or not is_roots(path)):
        return FileKeeper.USER
    if not is_roots(path):
        raise NoPermission(
            f"{folder} does not belong to {user.name}",
            hint="sshd would not trust what its owner writes there; see who owns it: ls -ld",
        )
    if os.geteuid() != 0:
        raise NoPermission(f"only root may change {folder}", hint=_HINT)
    return FileKeeper.ROOT


def _owner(folder: Path) -> int | None:
    try:
        return folder.stat().st_uid
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoPermission(
            f"{folder} cannot be checked: {os.strerror(error.errno or 0)}", hint=_HINT
        ) from None


def _is_below(path: Path, folder: Path) -> bool:
    return folder in path.parents and folder != Path("/")


def is_roots(path: Path) -> bool:
    """Whether root alone decides what a path leads to: so root may write there as root.

    Every folder on the way, also behind symbolic links, is root's, and others may not rename what
    is in it. The last folder may be missing; the file, too.
    """
    return all(_is_safe(step) for folder in path.parents for step in _chain(folder))


def _chain(folder: Path) -> Iterable[Path]:
    real = Path(os.path.realpath(folder))
    return (real, *real.parents)


def _is_safe(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return True  # root makes it, below a folder that is judged on its own
    except OSError:
        return False
    others = found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX
    return found.st_uid == 0 and not others
