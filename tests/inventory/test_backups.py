"""Which keys would be lost with their token."""

from __future__ import annotations

from pathlib import Path

from tests.inventory.samples import Credential, file, key

from fidokit.inventory.backups import Backup, backup_states
from fidokit.inventory.join import join
from fidokit.inventory.rows import KeyRow
from fidokit.types import CredentialId


def held(number: int, comment: str, application: str = "ssh:", user: str = "") -> Credential:
    return Credential(key(number, application), CredentialId(bytes([number])), user, "", comment)


def states(rows: list[KeyRow]) -> dict[str, Backup]:
    found = backup_states(rows)
    return {row.comment: state for row, state in zip(rows, found, strict=True)}


def unread(path: Path) -> None:
    """Flags of no file."""


def test_by_comments() -> None:
    pair = [held(1, "mine"), held(2, "mine (backup)"), held(3, "alone")]
    assert states(join(pair, [], unread)) == {
        "mine": Backup.HAS,
        "mine (backup)": Backup.IS,
        "alone": Backup.NONE,
    }


def test_by_files_whose_comments_were_changed(tmp_path: Path) -> None:
    for name in ("id", "id.pub", "id_backup", "id_backup.pub"):
        (tmp_path / name).touch()
    files = [
        file(str(tmp_path / "id.pub"), key(1), private=False, comment="one"),
        file(str(tmp_path / "id"), key(1)),
        file(str(tmp_path / "id_backup.pub"), key(2), private=False, comment="two"),
        file(str(tmp_path / "id_backup"), key(2)),
    ]
    assert states(join([], files, unread)) == {"one": Backup.HAS, "two": Backup.IS}


def test_a_backup_is_for_the_same_application_and_user() -> None:
    rows = join(
        [
            held(1, "mine"),
            held(2, "mine (backup)", "ssh:other"),
            held(3, "yours", user="alice"),
            held(4, "yours (backup)", user="bob"),
        ],
        [],
        unread,
    )
    found = states(rows)
    assert found["mine"] is found["yours"] is Backup.NONE
    assert found["mine (backup)"] is found["yours (backup)"] is Backup.IS


def test_a_backup_alone_is_still_one() -> None:
    """Its first key is on a token that was lost, or is not plugged in."""
    assert states(join([held(1, "mine (backup)")], [], unread)) == {"mine (backup)": Backup.IS}
