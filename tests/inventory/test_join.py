"""The joined list: by public key, wherever the key is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.inventory.samples import EPOCH, RESIDENT, UP, UV, Credential, file, key

from fidokit.inventory.join import join
from fidokit.inventory.rows import KeyRow
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import Ed25519Public
from fidokit.types import CredentialId, KeyType, SkFlag


def unreadable(path: Path) -> None:
    """Flags of a file that is under a passphrase."""


def one(rows: list[KeyRow]) -> KeyRow:
    (row,) = rows
    return row


def test_a_key_only_on_the_token() -> None:
    held = Credential(key(1, "ssh:a"), CredentialId(b"id"), "alice", "alice@host", "my key")
    row = one(join([held], [], unreadable))
    assert held.public is not None
    assert row.fingerprint == fingerprint.sha256(held.public.blob())
    assert (row.key_type, row.application, row.user) == (KeyType.ED25519_SK, "ssh:a", "alice")
    assert (row.comment, row.user_name) == ("my key", "alice@host")
    assert (row.on_token, row.files, row.created) == (True, (), None)
    assert (row.verify_required, row.touch_required) == (False, True)
    assert row.public_line.endswith(" my key")
    assert row.credential is held


def test_a_key_in_both_places_meets_its_file() -> None:
    held = Credential(key(1), CredentialId(b"id"), flags=UV | RESIDENT)
    files = [
        file("id.pub", key(1), private=False, comment="from the line", day=3),
        file("id", key(1), day=2),
        file("other", key(2)),
    ]
    rows = join([held], files, unreadable)
    both = next(row for row in rows if row.on_token)
    assert both.files == (Path("/keys/id"),)
    assert both.created == EPOCH.replace(day=2)
    assert both.comment == "from the line"
    assert (both.verify_required, both.touch_required) == (True, False)
    assert len(rows) == 2


def test_the_application_belongs_to_the_key() -> None:
    held = Credential(key(1, "ssh:a"), CredentialId(b"id"))
    rows = join([held], [file("id", key(1, "ssh:b"))], unreadable)
    assert [row.on_token for row in rows] == [True, False]


def test_a_file_whose_token_is_absent() -> None:
    row = one(join([], [file("id", key(1, "ssh:x"))], lambda path: (UP | UV, "inside")))
    assert (row.on_token, row.credential_id) == (False, None)
    assert (row.verify_required, row.touch_required) == (True, True)
    assert row.comment == "inside"


def test_a_file_under_a_passphrase_tells_less() -> None:
    row = one(join([], [file("id", key(1))], unreadable))
    assert (row.verify_required, row.touch_required, row.comment) == (None, None, "")


def test_a_public_file_alone() -> None:
    def refuse(path: Path) -> tuple[SkFlag, str]:
        pytest.fail("a public file has no flags to read")

    row = one(join([], [file("id.pub", key(1), private=False, comment="c")], refuse))
    assert row.files == (Path("/keys/id.pub"),)
    assert row.comment == "c"


def test_ordinary_keys_are_not_listed() -> None:
    assert join([], [file("id_ed25519", Ed25519Public(b"x" * 32))], unreadable) == []


def test_rows_are_sorted() -> None:
    held = [
        Credential(key(1, "ssh:b"), CredentialId(b"1")),
        Credential(key(2, "ssh:a"), CredentialId(b"2"), "zoe"),
        Credential(key(3, "ssh:a"), CredentialId(b"3"), "adam"),
    ]
    rows = join(held, [], unreadable)
    assert [(row.application, row.user) for row in rows] == [
        ("ssh:a", "adam"),
        ("ssh:a", "zoe"),
        ("ssh:b", ""),
    ]


def test_a_comment_from_the_token_forges_no_line() -> None:
    held = Credential(key(1), CredentialId(b"id"), comment="x\nssh-ed25519 AAAA evil")
    assert "\n" not in one(join([held], [], unreadable)).public_line


def test_a_websites_credential_of_an_unknown_type() -> None:
    held = Credential(None, CredentialId(b"\x01\x02\x03"), rp="example.org")
    row = one(join([held], [file("id", key(1))], unreadable)[:1])
    assert (row.key_type, row.fingerprint, row.public_line) == (None, "", "")
    assert (row.application, row.files) == ("example.org", ())
