"""Who besides the right users could change a file: by itself, or by any folder on the way to it.

Symbolic links are followed a step at a time: who may write to a folder on the way, the folder of a
link included, may put something else there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_MOST_LINKS: Final = 40
"""Followed by Linux, too (path_resolution(7))."""

_SUPERUSER: Final = 0


@dataclass(frozen=True)
class LoosePlace:
    """A file or folder that the wrong user may change.

    Attributes:
        path: of the place; hostile text.
        why: half a sentence.
        fix: the command that fixes it, for root; empty if no command does.
        doubt: it could not be looked at.
    """

    path: str
    why: str
    fix: tuple[str, ...] = ()
    doubt: bool = False


@dataclass
class LooseFiles:
    """Looks at files, at each place once.

    Attributes:
        trusted: user ids that may own and change things.
    """

    trusted: frozenset[int]
    _judged: dict[str, tuple[LoosePlace, ...]] = field(default_factory=dict, repr=False)

    def judge(
        self, path: str, owners: Collection[int] = (), *, secret: bool = False
    ) -> tuple[LoosePlace, ...]:
        """Every place on the way to a file, and the file.

        Args:
            path: absolute; what does not exist is judged by the folders above it.
            owners: further user ids that may own it.
            secret: others must not read the file either.
        """
        places = [*_steps(path)]
        found = [loose for place in places for loose in self._place(place, owners)]
        found += _to_be_made(places)
        found += _readable(path) if secret else ()
        return tuple(dict.fromkeys(found))

    def _place(self, place: str, owners: Collection[int]) -> tuple[LoosePlace, ...]:
        if owners:
            return tuple(_changeable(place, self.trusted.union(owners)))
        if place not in self._judged:
            self._judged[place] = tuple(_changeable(place, self.trusted))
        return self._judged[place]


def _to_be_made(places: Sequence[str]) -> Iterator[LoosePlace]:
    """A sticky folder, in which others may make what is missing but not replace what is there."""
    missing = next((place for place in places if not os.path.lexists(place)), None)
    if missing is None:
        return
    folder = places[places.index(missing) - 1]
    with suppress(OSError, ValueError):
        found = os.lstat(folder)
        if found.st_mode & _OTHERS_WRITE and found.st_mode & stat.S_ISVTX:
            yield LoosePlace(folder, f"{_writers(found)} may make {missing}")


def _steps(path: str) -> Iterator[str]:
    """The root folder, and each folder and link on the way to a file, the file last."""
    yield "/"
    at, left, links = "", [part for part in path.split("/") if part], 0
    while left:
        part = left.pop(0)
        if part in {".", ".."}:
            at = os.path.dirname(at) if part == ".." else at  # noqa: PTH120  text, not a path
            continue
        place = f"{at}/{part}"
        try:
            target = os.readlink(place)  # noqa: PTH115  a str is wanted
        except (OSError, ValueError):
            yield place
            at = place
            continue
        links += 1
        if links > _MOST_LINKS:
            return
        yield place
        left = [piece for piece in target.split("/") if piece] + left
        at = "" if target.startswith("/") else at


def _changeable(place: str, trusted: Collection[int]) -> Iterator[LoosePlace]:
    try:
        found = os.lstat(place)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        why = os.strerror(getattr(error, "errno", 0) or 0)
        yield LoosePlace(place, f"{place} cannot be checked: {why}", doubt=True)
        return
    if found.st_uid not in trusted:
        # Taking a folder away from its owner breaks more than it fixes.
        own = () if stat.S_ISDIR(found.st_mode) else ("chown", "-h", "root", place)
        yield LoosePlace(place, f"{place} belongs to {_user(found.st_uid)}", own)
    if stat.S_ISLNK(found.st_mode):
        return  # a link has no mode of its own
    sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
    if found.st_mode & _OTHERS_WRITE and not sticky:
        why = f"{_writers(found)} may write to {place}"
        yield LoosePlace(place, why, ("chmod", "go-w", place))


def _writers(found: os.stat_result) -> str:
    return "everybody" if found.st_mode & stat.S_IWOTH else f"group {_group(found.st_gid)}"


def _readable(path: str) -> Iterator[LoosePlace]:
    try:
        found = os.stat(path)  # noqa: PTH116  follows links
    except (OSError, ValueError):
        return
    if found.st_mode & stat.S_IROTH:
        who = "everybody"
    elif found.st_mode & stat.S_IRGRP and found.st_gid != _SUPERUSER and _has_members(found.st_gid):
        who = f"group {_group(found.st_gid)}"
    else:
        return
    yield LoosePlace(path, f"{who} may read {path}", ("chmod", "go-r", path))


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except (KeyError, OverflowError):
        return f"user id {number}"


def _group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except (KeyError, OverflowError):
        return str(number)


def _has_members(number: int) -> bool:
    """Whether anybody is seen to be in a group."""
    import grp
    import pwd

    try:
        named = grp.getgrgid(number).gr_mem
    except (KeyError, OverflowError):
        return True
    return bool(named) or any(user.pw_gid == number for user in pwd.getpwall())
