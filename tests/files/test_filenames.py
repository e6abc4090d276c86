"""File names from hostile text."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import UsageError
from fidokit.files import filenames
from fidokit.files.filenames import (
    backup_comment,
    backup_path,
    backups_beside,
    first_comment,
    free_backup_path,
)
from fidokit.types import KeyType

ED, EC = KeyType.ED25519_SK, KeyType.ECDSA_SK


def pad(user: bytes) -> bytes:
    return user.ljust(32, b"\0")


@pytest.mark.parametrize(
    ("key_type", "application", "user", "name"),
    [
        (ED, "ssh:", b"", "id_ed25519_sk_rk"),
        (EC, "ssh:", b"", "id_ecdsa_sk_rk"),
        (EC, "ssh:mykeyname", b"", "id_ecdsa_sk_rk_mykeyname"),
        (ED, "ssh://host", b"", "id_ed25519_sk_rk_host"),
        (ED, "ssh:", b"alice", "id_ed25519_sk_rk_alice"),
        (ED, "ssh:app", b"alice", "id_ed25519_sk_rk_app_alice"),
        (ED, "ssh:app", b"a/b", "id_ed25519_sk_rk_app_612f62"),
        (ED, "ssh:app", b"a\\b", "id_ed25519_sk_rk_app_615c62"),
        (ED, "ssh:app", b"..", "id_ed25519_sk_rk_app_2e2e"),
        (ED, "ssh:app", b"a.b", "id_ed25519_sk_rk_app_a.b"),
        (ED, "ssh:app", b"\xff\x00\x01", "id_ed25519_sk_rk_app_ff0001"),
        (ED, "ssh:app", b"a\nb", "id_ed25519_sk_rk_app_610a62"),
        (ED, "ssh:app", "émile".encode(), "id_ed25519_sk_rk_app_émile"),
        (ED, "ssh:a/../b", b"", "id_ed25519_sk_rk_a_.._b"),
        (ED, "ssh:a\x1b[31m", b"", "id_ed25519_sk_rk_a_[31m"),
        (ED, "example.org", b"", "id_ed25519_sk_rk_example.org"),
        (ED, "ssh:a:b", b"", "id_ed25519_sk_rk_a:b"),
    ],
)
def test_download_names(key_type: KeyType, application: str, user: bytes, name: str) -> None:
    assert filenames.download_name(key_type, application, pad(user)) == name


@given(application=st.text(max_size=400), user=st.binary(max_size=64))
def test_any_download_name_is_harmless(application: str, user: bytes) -> None:
    name = filenames.download_name(ED, application, user)
    assert_harmless(name)
    assert name.startswith("id_ed25519_sk_rk")


@given(name=st.text(alphabet=st.characters(), max_size=500))
def test_sanitized_names_are_harmless(name: str) -> None:
    assert_harmless(filenames.sanitize(name))


def assert_harmless(name: str) -> None:
    assert name
    assert Path(name).name == name
    assert name not in (".", "..")
    assert name.isprintable()
    assert not name.startswith(("-", "."))
    assert len(os.fsencode(name)) <= filenames.MAX_NAME


@given(name=st.from_regex(r"[a-z0-9_]{1,200}", fullmatch=True))
def test_harmless_names_stay(name: str) -> None:
    assert filenames.sanitize(name) == name


def test_long_names_stay_apart() -> None:
    one, two = filenames.sanitize("k" * 300 + "1"), filenames.sanitize("k" * 300 + "2")
    assert one != two
    assert len(one) == filenames.MAX_NAME


def test_a_long_name_is_cut_between_characters() -> None:
    assert_harmless(filenames.sanitize("é" * 300))


FIELDS = {
    "type": "ed25519_sk",
    "application": "app",
    "user": "alice",
    "user_name": "alice@host",
    "comment": "my key",
    "fingerprint": "abcdefghijklmnop",
    "id": "00112233",
}


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("id_{type}_{application}", "id_ed25519_sk_app"),
        ("{user}-{id}", "alice-00112233"),
        ("{comment}", "my key"),
        ("../{application}", "___app"),
        ("-{application}", "_app"),
        ("fixed", "fixed"),
    ],
)
def test_templates(template: str, name: str) -> None:
    assert filenames.render_template(template, FIELDS) == name


@pytest.mark.parametrize(
    "template",
    ["{nothing}", "{}", "{type", "type}", "{type.__class__}", "{0}", "", "  ", "{{type}}"],
)
def test_bad_templates(template: str) -> None:
    with pytest.raises(UsageError):
        filenames.check_template(template)


@given(template=st.text(max_size=60))
def test_any_template_is_refused_or_harmless(template: str) -> None:
    try:
        name = filenames.render_template(template, FIELDS)
    except UsageError:
        return
    assert_harmless(name)


def test_a_value_is_not_taken_for_a_template() -> None:
    assert filenames.render_template("{user}", {**FIELDS, "user": "{id}"}) == "{id}"


def test_names_that_clash_are_all_tagged() -> None:
    names = filenames.make_unique(["a", "b", "A", "c"], ["t1", "t2", "t3", "t4"])
    assert names == ["a_t1", "b", "A_t3", "c"]


def test_fields_are_documented() -> None:
    assert set(FIELDS) == set(filenames.TEMPLATE_FIELDS)


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
