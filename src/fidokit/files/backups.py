"""What tells the key on a backup token from the first one: its file's name and its comment.

`id_work` and "me@laptop" have their backup in `id_work_backup` and "me@laptop (backup)"; a second
one is `id_work_backup2` and "me@laptop (backup 2)". Each is there where the other is lost: the
comment rides on the token, the name lies beside the first file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from fidokit.files.keyfile import public_path

MOST: Final = 9
"""Backups of one key that are looked for."""
_MARK: Final = re.compile(r" ?\(backup(?: \d)?\)$")


def backup_path(path: Path, number: int = 1) -> Path:
    """The private file of a backup.

    Args:
        path: the first key's private file.
        number: which backup, from 1.
    """
    return path.with_name(f"{path.name}_backup{number if number > 1 else ''}")


def backup_comment(comment: str, number: int = 1) -> str:
    """A backup's comment, made from the first key's."""
    mark = f"(backup {number})" if number > 1 else "(backup)"
    return f"{comment} {mark}" if comment else mark


def first_comment(comment: str) -> str | None:
    """The first key's comment, told from a backup's; None for a comment of no backup."""
    found = _MARK.search(comment)
    return comment[: found.start()] if found else None


def backups_beside(path: Path) -> list[Path]:
    """The public files of the backups of a key, in order.

    Args:
        path: the first key's private or public file.
    """
    first = path.with_suffix("") if path.suffix == ".pub" else path
    named = (public_path(backup_path(first, number)) for number in range(1, MOST + 1))
    return [file for file in named if file.is_file()]


def free_backup_path(path: Path) -> tuple[Path, int]:
    """The first name for a backup that no file has, and its number."""
    for number in range(1, MOST + 1):
        chosen = backup_path(path, number)
        if not chosen.exists() and not public_path(chosen).exists():
            return chosen, number
    return backup_path(path, MOST), MOST
