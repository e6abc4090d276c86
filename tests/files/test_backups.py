from __future__ import annotations

from pathlib import Path

import pytest

from fidokit.files.backups import (
    backup_comment,
    backup_path,
    backups_beside,
    first_comment,
    free_backup_path,
)


@pytest.mark.parametrize(("number", "name"), [(1, "id_backup"), (2, "id_backup2")])
def test_names(tmp_path: Path, number: int, name: str) -> None:
    assert backup_path(tmp_path / "id", number) == tmp_path / name


@pytest.mark.parametrize("comment", ["", "me@laptop", "with (brackets)", "two words"])
@pytest.mark.parametrize("number", [1, 2, 9])
def test_comments_come_back(comment: str, number: int) -> None:
    assert first_comment(backup_comment(comment, number)) == comment
    assert first_comment(comment) is None


@pytest.mark.parametrize("comment", ["backup", "(backup) of mine", "(backup 12)", "my (backups)"])
def test_other_comments_are_no_backups(comment: str) -> None:
    assert first_comment(comment) is None


def test_those_that_lie_beside(tmp_path: Path) -> None:
    for name in ("id.pub", "id_backup.pub", "id_backup3.pub", "id_backupx.pub", "other_backup.pub"):
        (tmp_path / name).touch()
    (tmp_path / "id_backup2.pub").mkdir()
    expected = [tmp_path / "id_backup.pub", tmp_path / "id_backup3.pub"]
    assert backups_beside(tmp_path / "id") == expected
    assert backups_beside(tmp_path / "id.pub") == expected
    assert backups_beside(tmp_path / "id_backup") == []


def test_the_first_name_that_is_free(tmp_path: Path) -> None:
    assert free_backup_path(tmp_path / "id") == (tmp_path / "id_backup", 1)
    (tmp_path / "id_backup.pub").touch()
    assert free_backup_path(tmp_path / "id") == (tmp_path / "id_backup2", 2)
    (tmp_path / "id_backup2").touch()
    assert free_backup_path(tmp_path / "id") == (tmp_path / "id_backup3", 3)
