"""Where virtual tokens live: $XDG_STATE_HOME/fidokit/virtual, one file per name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from fidokit.errors import StateUnusable, TokenNotFound, UsageError
from fidokit.system.host import xdg_folder

_SUFFIX: Final = ".sqlite"
_NAME: Final = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,64}")
_PRIVATE: Final = 0o700


def folder() -> Path:
    """The folder of all named tokens; it need not exist."""
    return xdg_folder(os.environ, "XDG_STATE_HOME", ".local/state") / "fidokit" / "virtual"


def make_folder() -> Path:
    """The folder of all named tokens, made if need be, closed to other users.

    Raises:
        StateUnusable: it cannot be made.
    """
    wanted = folder()
    try:
        wanted.parent.mkdir(_PRIVATE, parents=True, exist_ok=True)  # a mode is not for parents
        wanted.mkdir(_PRIVATE, exist_ok=True)
        wanted.chmod(_PRIVATE)
    except OSError as error:
        raise StateUnusable(
            f"the folder {wanted} for virtual tokens cannot be made: {error.strerror}",
            hint="choose a writable folder with XDG_STATE_HOME",
        ) from error
    return wanted


def path_of(name: str) -> Path:
    """The file of the token with this name, whether or not there is one.

    Raises:
        UsageError: the name is not made of 1 to 64 of A-Z a-z 0-9 . _ - or starts with a dot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a virtual token's name",
            hint="use 1 to 64 letters, digits, '.', '_' and '-', not starting with '.'",
        )
    return folder() / (name + _SUFFIX)


def names() -> list[str]:
    """The names of all tokens, in order.

    Raises:
        StateUnusable: the folder cannot be read.
    """
    try:
        files = [entry.name for entry in folder().iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateUnusable(
            f"the folder {folder()} of virtual tokens cannot be read: {error.strerror}",
            hint="make it readable to your user, or choose another with XDG_STATE_HOME",
        ) from error
    stems = (name.removesuffix(_SUFFIX) for name in files if name.endswith(_SUFFIX))
    return sorted(stem for stem in stems if _NAME.fullmatch(stem))


def unknown(name: str) -> TokenNotFound:
    """The error for a name that no token has; its hint lists those that exist."""
    known = names()
    return TokenNotFound(
        f"there is no virtual token named {name!r}",
        hint=f"there are: {', '.join(known)}"
        if known
        else f"make it: fidokit virtual create {name}",
    )
