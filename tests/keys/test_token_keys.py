"""The private files of a token's keys in ~/.ssh: which are there, and whose they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.files.filenames import backup_path
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.keys.token_keys import TokenKeyFile, token_key_files
from fidokit.types import KeyType


@pytest.fixture
def folder(home: Path) -> Path:
    path = home / ".ssh"
    path.mkdir(mode=0o700)
    return path


def make(desk: Desk, path: Path, secret: bytes = b"", **more: bool) -> None:
    request = GenerateRequest(KeyType.ECDSA_SK, path=path, comment=path.name, **more)  # type: ignore[arg-type]
    with desk.open("usb:ONE") as session:
        generate_key(session, request, passphrase=lambda _: secret)


def found(desk: Desk, selector: str) -> dict[str, TokenKeyFile]:
    with desk.open(selector) as session:
        return {one.path.name: one for one in token_key_files(session)}


def test_whose_they_are(desk: Desk, folder: Path) -> None:
    desk.plug("TWO")
    make(desk, folder / "id_a")
    make(desk, backup_path(folder / "id_a"))
    make(desk, folder / "id_free", touch_required=False)
    make(desk, folder / "id_pin", verify_required=True)
    make(desk, folder / "id_sealed", b"words")
    (folder / "id_a.pub").unlink()
    (folder / "plain").write_text("no key")
    own, other = found(desk, "usb:ONE"), found(desk, "usb:TWO")
    assert set(own) == set(other) == {"id_a", "id_free", "id_pin", "id_sealed"}
    assert [own[name].held for name in sorted(own)] == [True, True, None, None]
    assert [other[name].held for name in sorted(other)] == [False, False, None, None]
    assert (own["id_a"].comment, own["id_free"].comment) == ("", "id_free")
    assert (own["id_free"].touch_required, own["id_pin"].touch_required) == (False, True)
    assert (own["id_pin"].verify_required, own["id_sealed"].verify_required) == (True, None)
    assert {one.held for one in token_key_files()} == {None}


def test_no_folder(home: Path) -> None:
    assert token_key_files() == []
