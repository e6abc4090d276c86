"""One selector, one key: never a guess."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inventory.samples import Credential, file, key

from fidokit.errors import CredentialNotFound, UsageError
from fidokit.inventory.choose import label, resolve
from fidokit.inventory.join import join
from fidokit.inventory.rows import KeyRow
from fidokit.types import CredentialId

ROWS = join(
    [
        Credential(key(1, "ssh:work"), CredentialId(bytes.fromhex("abcdef01")), "alice", "a@h"),
        Credential(key(2, "ssh:work"), CredentialId(bytes.fromhex("abcd1234")), "bob"),
        Credential(key(3, "ssh://home"), CredentialId(bytes.fromhex("00112233")), comment="my key"),
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
        [Credential(key(n, "ssh:x"), CredentialId(bytes([n] * 4))) for n in range(20)],
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
            Credential(key(1), CredentialId(b"good")),
            Credential(key(2), CredentialId(b"evil"), comment=join_fingerprint(1)),
        ],
        [],
        lambda path: None,
    )
    assert resolve(join_fingerprint(1), rows).credential_id == b"good"


def join_fingerprint(number: int) -> str:
    (row,) = join([Credential(key(number), CredentialId(b""))], [], lambda path: None)
    return row.fingerprint


@given(st.text())
def test_any_selector_names_one_or_none(selector: str) -> None:
    try:
        found = resolve(selector, ROWS)
    except (CredentialNotFound, UsageError):
        return
    assert found in ROWS


def test_a_name_that_begins_like_a_home_folder_is_only_a_name() -> None:
    with pytest.raises(CredentialNotFound):
        resolve("~no-user-of-this-name", ROWS)
