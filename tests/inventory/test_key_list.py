"""The joined list: by public key, wherever the key is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.key_rows import EPOCH, RESIDENT, UP, UV, credential, file, key

from fidokit.errors import CredentialNotFound, UsageError
from fidokit.inventory.key_list import KeyRow, join, label, resolve
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import Ed25519Public
from fidokit.types import CredentialId, KeyType, SkFlag


def unreadable(path: Path) -> None:
    """Flags of a file that is under a passphrase."""


def one(rows: list[KeyRow]) -> KeyRow:
    (row,) = rows
    return row


def test_a_key_only_on_the_token() -> None:
    held = credential(key(1, "ssh:a"), CredentialId(b"id"), "alice", "alice@host", "my key")
    assert held.public is not None
    row = one(join([held], [], unreadable))
    assert row.fingerprint == fingerprint.sha256(held.public.blob())
    assert (row.key_type, row.application, row.user) == (KeyType.ED25519_SK, "ssh:a", "alice")
    assert (row.comment, row.user_name) == ("my key", "alice@host")
    assert (row.on_token, row.files, row.created) == (True, (), None)
    assert (row.verify_required, row.touch_required) == (False, True)
    assert row.public_line.endswith(" my key")
    assert row.credential is held


def test_a_key_in_both_places_meets_its_file() -> None:
    held = credential(key(1), CredentialId(b"id"), flags=UV | RESIDENT)
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
    held = credential(key(1, "ssh:a"), CredentialId(b"id"))
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
        credential(key(1, "ssh:b"), CredentialId(b"1")),
        credential(key(2, "ssh:a"), CredentialId(b"2"), "zoe"),
        credential(key(3, "ssh:a"), CredentialId(b"3"), "adam"),
    ]
    rows = join(held, [], unreadable)
    assert [(row.application, row.user) for row in rows] == [
        ("ssh:a", "adam"),
        ("ssh:a", "zoe"),
        ("ssh:b", ""),
    ]


def test_a_comment_from_the_token_forges_no_line() -> None:
    held = credential(key(1), CredentialId(b"id"), comment="x\nssh-ed25519 AAAA evil")
    assert "\n" not in one(join([held], [], unreadable)).public_line


def test_a_websites_credential_of_an_unknown_type() -> None:
    held = credential(None, CredentialId(b"\x01\x02\x03"), rp="example.org")
    row = one(join([held], [file("id", key(1))], unreadable)[:1])
    assert (row.key_type, row.fingerprint, row.public_line) == (None, "", "")
    assert (row.application, row.files) == ("example.org", ())


ROWS = join(
    [
        credential(key(1, "ssh:work"), CredentialId(bytes.fromhex("abcdef01")), "alice", "a@h"),
        credential(key(2, "ssh:work"), CredentialId(bytes.fromhex("abcd1234")), "bob"),
        credential(key(3, "ssh://home"), CredentialId(bytes.fromhex("00112233")), comment="my key"),
    ],
    [file("id_home", key(3, "ssh://home")), file("lost.v1", key(4, "ssh:lost"))],
    lambda path: None,
)


def row(user: str = "", application: str = "ssh:work") -> KeyRow:
    return next(r for r in ROWS if (r.application, r.user) == (application, user))


ALICE, BOB, HOME, LOST = row("alice"), row("bob"), row("", "ssh://home"), row("", "ssh:lost")


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        (ALICE.fingerprint, ALICE),
        (ALICE.fingerprint.removeprefix("SHA256:"), ALICE),
        (ALICE.fingerprint[:14], ALICE),
        (BOB.fingerprint[7:14], BOB),
        ("/keys/id_home", HOME),
        ("/keys/id_home.pub", HOME),
        ("/keys/../keys/lost.v1.pub", LOST),
        ("ssh://home", HOME),
        ("home", HOME),
        ("my key", HOME),
        ("alice", ALICE),
        ("a@h", ALICE),
        ("work/bob", BOB),
        ("ssh:work/bob", BOB),
        ("lost", LOST),
        ("abcdef", ALICE),
        ("ABCD1", BOB),
        ("0011", HOME),
    ],
)
def test_each_way_of_naming(selector: str, wanted: KeyRow) -> None:
    assert resolve(selector, ROWS) == wanted


@pytest.mark.parametrize("selector", ["work", "ssh:work", "abcd"])
def test_the_ambiguous_is_refused_with_a_list(selector: str) -> None:
    with pytest.raises(UsageError, match="fits 2 keys") as caught:
        resolve(selector, ROWS)
    assert label(ALICE) in caught.value.message
    assert label(BOB) in caught.value.message
    assert label(HOME) not in caught.value.message


@pytest.mark.parametrize("selector", ["", "/", "nobody", "abc", "SHA256:", "nul\0", "SHA", "~"])
def test_what_fits_nothing(selector: str) -> None:
    with pytest.raises(CredentialNotFound) as caught:
        resolve(selector, ROWS)
    assert "key list" in caught.value.hint


def test_a_long_list_is_cut() -> None:
    many = join(
        [credential(key(n, "ssh:x"), CredentialId(bytes([n] * 4))) for n in range(20)],
        [],
        lambda path: None,
    )
    with pytest.raises(UsageError, match=r"fits 20 keys.*and 12 more"):
        resolve("x", many)


@pytest.mark.parametrize("selector", ["~0", "~no-such-user", "~no-such-user/id"])
def test_the_home_of_nobody(selector: str) -> None:
    with pytest.raises(CredentialNotFound):
        resolve(selector, ROWS)


def test_a_relative_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "id").write_bytes(b"")
    rows = join([], [file(str(tmp_path / "id"), key(1))], lambda path: None)
    assert resolve("id", rows) == rows[0]


def test_a_comment_cannot_pose_as_another_keys_fingerprint() -> None:
    """A website's or another person's text never draws a deletion to itself, or away."""
    rows = join(
        [
            credential(key(1), CredentialId(b"good")),
            credential(key(2), CredentialId(b"evil"), comment=join_fingerprint(1)),
        ],
        [],
        lambda path: None,
    )
    assert resolve(join_fingerprint(1), rows).credential_id == b"good"


def join_fingerprint(number: int) -> str:
    (row,) = join([credential(key(number), CredentialId(b""))], [], lambda path: None)
    return row.fingerprint


@given(st.text())
def test_any_selector_names_one_or_none(selector: str) -> None:
    try:
        found = resolve(selector, ROWS)
    except (CredentialNotFound, UsageError):
        return
    assert found in ROWS


def test_a_file_in_any_folder_names_its_key() -> None:
    asked: list[str] = []

    def key_in(name: str) -> str | None:
        asked.append(name)
        return BOB.fingerprint if name == "/elsewhere/id_bob" else None

    assert resolve("/elsewhere/id_bob", ROWS, key_in=key_in) == BOB
    assert resolve("alice", ROWS, key_in=key_in) == ALICE
    assert asked == ["/elsewhere/id_bob", "alice"]  # each read once, however many keys there are
    assert resolve("/keys/id_home", ROWS, key_in=lambda _name: ALICE.fingerprint) == HOME
    with pytest.raises(CredentialNotFound):
        resolve("/elsewhere/nobodys", ROWS, key_in=lambda _name: "SHA256:none")
    with pytest.raises(CredentialNotFound):
        resolve("/elsewhere/id_bob", ROWS)
