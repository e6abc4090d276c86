"""Key files are found by content; everything else in a folder is passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fidokit.errors import FidokitError
from fidokit.files import scan
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private
from fidokit.openssh.keys.public import Ed25519Public, PublicLine, SkEd25519Public
from fidokit.types import Application, KeyHandle, SkFlag

KEY = SkEd25519Public(b"k" * 32, Application("ssh:test"))
PRIVATE = PrivateFile(SkPrivate(KEY, SkFlag(0x21), KeyHandle(b"handle" * 10)), "comment")


def found(folder: Path) -> dict[str, scan.FoundKey]:
    return {key.path.name: key for key in scan.find_keys([folder])}


def write_keys(folder: Path) -> None:
    (folder / "strange name").write_bytes(encode_private(PRIVATE))
    (folder / "locked").write_bytes(encode_private(PRIVATE, passphrase=b"secret", rounds=1))
    (folder / "line.txt").write_text(PublicLine(KEY, "my comment").encode() + "\n")
    (folder / "id_ed25519.pub").write_text(PublicLine(Ed25519Public(b"e" * 32), "").encode())


def test_keys_are_found_by_content(tmp_path: Path) -> None:
    write_keys(tmp_path)
    keys = found(tmp_path)
    assert set(keys) == {"strange name", "locked", "line.txt", "id_ed25519.pub"}
    assert {name: key.is_private for name, key in keys.items()} == {
        "strange name": True,
        "locked": True,
        "line.txt": False,
        "id_ed25519.pub": False,
    }
    assert keys["locked"].line.key == KEY
    assert keys["line.txt"].line.comment == "my comment"


def test_the_time_is_the_files(tmp_path: Path) -> None:
    write_keys(tmp_path)
    os.utime(tmp_path / "locked", (1000, 1_700_000_000))
    assert found(tmp_path)["locked"].modified.timestamp() == 1_700_000_000


def test_junk_is_passed_over(tmp_path: Path) -> None:
    write_keys(tmp_path)
    before = set(found(tmp_path))
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "binary").write_bytes(bytes(range(256)) * 10)
    (tmp_path / "text").write_text("Host *\n  User me\n")
    (tmp_path / "pem").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    (tmp_path / "huge").write_bytes(PublicLine(KEY, "").encode().encode() + b" " * scan.MAX_SCANNED)
    (tmp_path / "folder").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    line = PublicLine(KEY, "").encode() + "\n"
    (tmp_path / "authorized_keys").write_text(line)
    (tmp_path / "many").write_text(line * 2)
    assert set(found(tmp_path)) == before


def test_an_unreadable_file_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_keys(tmp_path)

    def refuse(path: Path, limit: int) -> bytes:
        raise FidokitError("no")

    monkeypatch.setattr(scan, "read_bounded", refuse)
    assert found(tmp_path) == {}


def test_folders_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert list(scan.find_keys([tmp_path / "none", tmp_path / "file"])) == []


def test_no_file_is_found_twice(tmp_path: Path) -> None:
    write_keys(tmp_path)
    (tmp_path / "zlink").symlink_to(tmp_path / "locked")
    names = [key.path.name for key in scan.find_keys([tmp_path, tmp_path, tmp_path / "."])]
    assert sorted(names) == ["id_ed25519.pub", "line.txt", "locked", "strange name"]


def test_a_folder_of_very_many_entries_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "MAX_ENTRIES", 2)
    write_keys(tmp_path)
    assert len(found(tmp_path)) == 2
