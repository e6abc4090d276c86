"""Which keys of a list have a backup on another token, and which are one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from fidokit.files.backups import backups_beside, first_comment
from fidokit.files.keyfile import public_path
from fidokit.inventory.rows import KeyRow


class Backup(StrEnum):
    """A key has a backup, is one, or stands alone: then a lost token is a lost key."""

    HAS = "yes"
    IS = "is one"
    NONE = "none"


def backup_states(rows: Sequence[KeyRow]) -> list[Backup]:
    """The state of each row, told from the comments and names that `files.backups` gives."""
    return [_state(row, rows) for row in rows]


def _state(row: KeyRow, rows: Sequence[KeyRow]) -> Backup:
    if any(_is_backup_of(row, other) for other in rows):
        return Backup.IS
    if any(_is_backup_of(other, row) for other in rows):
        return Backup.HAS
    # its first key may be on a token that is not plugged in, with no file here
    return Backup.IS if first_comment(row.comment) is not None else Backup.NONE


def _is_backup_of(row: KeyRow, first: KeyRow) -> bool:
    if row is first or (row.application, row.user) != (first.application, first.user):
        return _by_name(row, first)
    return first_comment(row.comment) == first.comment or _by_name(row, first)


def _by_name(row: KeyRow, first: KeyRow) -> bool:
    if row is first or row.application != first.application:
        return False
    own = {_public(path) for path in row.files}
    return any(own.intersection(backups_beside(path)) for path in first.files)


def _public(path: Path) -> Path:
    return path if path.suffix == ".pub" else public_path(path)
