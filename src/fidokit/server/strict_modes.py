"""Whether sshd would believe a file of a user's: its StrictModes, as sshd judges them.

Source: sshd_config(5), "StrictModes", and what sshd does: the file and every folder above it, up to
the home folder, must belong to the user or to root, and nobody else may write to them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fidokit.server.accounts import Account

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_SUPERUSER: Final = 0


def problems(path: Path, account: Account) -> list[str]:
    """Why sshd passes over a file, a sentence each; empty where it would read it.

    Args:
        path: any; symbolic links are followed first, as sshd does.
        account: whose file it is.
    """
    real = Path(os.path.realpath(path))
    return [why for place in _judged(real, account.home) for why in _problems_of(place, account)]


def _judged(path: Path, home: Path) -> Iterator[Path]:
    """The file, and the folders above it up to the user's home, or to / where it lies elsewhere."""
    yield path
    top = Path(os.path.realpath(home))
    for folder in path.parents:
        yield folder
        if folder == top:
            return


def _problems_of(path: Path, account: Account) -> Iterator[str]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return  # it will be made, by this user
    except OSError as error:
        yield f"{path} cannot be looked at: {os.strerror(error.errno or 0)}"
        return
    if found.st_uid not in {_SUPERUSER, account.uid}:
        yield f"{path} belongs neither to {account.name} nor to root"
    if found.st_mode & _OTHERS_WRITE:
        yield f"others than its owner may write to {path}; mend it with: chmod go-w {path}"
