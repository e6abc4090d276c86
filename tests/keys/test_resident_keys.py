"""Listing, downloading, deleting and renaming keys on a token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.desk import Desk
from tests.support.fake_link import Person, session_on

from fidokit.client.credentials import resident
from fidokit.client.credentials.resident import ResidentCredential
from fidokit.client.owner.pin import set_pin
from fidokit.client.ports import PinCode
from fidokit.client.tolerance import DELETED_KEY_SIGNS
from fidokit.errors import (
    CredentialNotFound,
    Interrupted,
    PassphraseRequired,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.inventory.key_list import KeyRow
from fidokit.keys import resident_keys
from fidokit.keys.generation import GeneratedKey, GenerateRequest, generate_key
from fidokit.keys.resident_keys import DownloadResult
from fidokit.openssh.keys.private import parse_private
from fidokit.openssh.keys.public import parse_public_line
from fidokit.types import Application, CredentialId, CredProtect, KeyType, SkFlag, UserId
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

UP, UV, RESIDENT = (
    SkFlag.USER_PRESENCE_REQUIRED,
    SkFlag.USER_VERIFICATION_REQUIRED,
    SkFlag.RESIDENT_KEY,
)
BASE = GenerateRequest(KeyType.ED25519_SK, resident=True, comment="a comment")


def make(desk: Desk, path: Path, **changes: object) -> GeneratedKey:
    with desk.open() as session:
        return generate_key(session, replace(BASE, path=path, **changes))  # type: ignore[arg-type]


@pytest.fixture
def three(desk: Desk, folder: Path) -> list[GeneratedKey]:
    """Two SSH keys and a website's credential."""
    return [
        make(desk, folder / "a", application="ssh:a", user="alice", touch_required=False),
        make(
            desk,
            folder / "b",
            application="ssh:b",
            verify_required=True,
            key_type=KeyType.ECDSA_SK,
            comment="",
        ),
        make(desk, folder / "w", application="example.org", allow_any_application=True),
    ]


def listed(desk: Desk, **options: object) -> list[KeyRow]:
    with desk.open() as session:
        return resident_keys.list_keys(session, **options)  # type: ignore[arg-type]


def test_a_list_of_what_is_on_the_token(desk: Desk, three: list[GeneratedKey]) -> None:
    rows = listed(desk)
    assert [row.application for row in rows] == ["ssh:a", "ssh:b"]
    assert [row.fingerprint for row in rows] == [made.fingerprint for made in three[:2]]
    assert [row.user for row in rows] == ["alice", ""]
    assert [row.comment for row in rows] == ["a comment", ""]
    assert [row.touch_required for row in rows] == [False, True]
    assert [row.verify_required for row in rows] == [False, True]
    assert all(row.on_token and row.files == () for row in rows)


def test_websites_show_only_when_asked(desk: Desk, three: list[GeneratedKey]) -> None:
    assert [row.application for row in listed(desk, any_rp=True)] == [
        "example.org",
        "ssh:a",
        "ssh:b",
    ]


def test_files_join_by_public_key(desk: Desk, three: list[GeneratedKey], folder: Path) -> None:
    rows = {row.application: row for row in listed(desk, folders=[folder])}
    assert rows["ssh:a"].files == (folder / "a",)
    assert rows["ssh:a"].created is not None
    assert not rows["example.org"].on_token
    assert rows["example.org"].files == (folder / "w",)
    only = {row.application for row in listed(desk, folders=[folder], only_token=True)}
    assert only == {"ssh:a", "ssh:b"}


def test_files_alone(desk: Desk, three: list[GeneratedKey], folder: Path) -> None:
    rows = resident_keys.list_keys(None, folders=[folder])
    assert {row.application: row.touch_required for row in rows} == {
        "ssh:a": False,
        "ssh:b": True,
        "example.org": True,
    }
    assert not any(row.on_token for row in rows)


def test_the_home_folder_is_searched(desk: Desk, home: Path) -> None:
    made = make(desk, home / ".ssh" / "my key")
    (row,) = resident_keys.list_keys(None)
    assert row.files == (made.path,)
    assert resident_keys.list_keys(None, search_home=False) == []


def downloaded(desk: Desk, folder: Path, **options: object) -> list[DownloadResult]:
    with desk.open() as session:
        return list(resident_keys.download_keys(session, folder, **options))  # type: ignore[arg-type]


@pytest.fixture
def new(tmp_path: Path) -> Path:
    path = tmp_path / "new"
    path.mkdir(mode=0o700)
    return path


def test_download_restores_everything(desk: Desk, three: list[GeneratedKey], new: Path) -> None:
    results = downloaded(desk, new)
    assert [result.path.name for result in results] == [
        "id_ed25519_sk_rk_a_alice",
        "id_ecdsa_sk_rk_b",
    ]
    assert all(result.error is None for result in results)
    flags = [RESIDENT, UP | UV | RESIDENT]
    comments = ["a comment", "ssh:b"]  # without one, the application, as ssh-keygen -K
    for result, made, flag, comment in zip(results, three[:2], flags, comments, strict=True):
        private = parse_private(result.path.read_bytes(), None)
        line = parse_public_line(Path(f"{result.path}.pub").read_text())
        before = parse_private(made.path.read_bytes(), None)
        assert private.key.public == line.key == before.key.public
        assert private.key.key_handle == before.key.key_handle
        assert private.key.flags == before.key.flags == flag
        assert private.comment == line.comment == comment
        assert result.path.stat().st_mode & 0o777 == 0o600


def test_a_refusal_stops_nothing(desk: Desk, three: list[GeneratedKey], new: Path) -> None:
    taken = new / "id_ed25519_sk_rk_a_alice.pub"
    taken.write_text("mine")
    first, second = downloaded(desk, new)
    assert isinstance(first.error, WouldOverwrite)
    assert second.error is None
    assert taken.read_text() == "mine"
    assert not (new / "id_ed25519_sk_rk_a_alice").exists()
    again = downloaded(desk, new)
    assert all(isinstance(result.error, WouldOverwrite) for result in again)


def test_download_under_passphrases(desk: Desk, three: list[GeneratedKey], new: Path) -> None:
    results = downloaded(desk, new, passphrase=lambda path: path.name.encode(), rounds=1)
    for result in results:
        parse_private(result.path.read_bytes(), result.path.name.encode)


def test_ctrl_c_at_the_passphrase_ends_the_download(
    desk: Desk, three: list[GeneratedKey], new: Path
) -> None:
    def passphrase(path: Path) -> bytes:
        raise Interrupted("interrupted")

    with pytest.raises(Interrupted):
        downloaded(desk, new, passphrase=passphrase)
    assert list(new.iterdir()) == []


def test_a_passphrase_that_cannot_be_asked_is_a_refusal(
    desk: Desk, three: list[GeneratedKey], new: Path
) -> None:
    def passphrase(path: Path) -> bytes | None:
        if "ecdsa" in path.name:
            return None
        raise PassphraseRequired("nobody can be asked")

    first, second = downloaded(desk, new, passphrase=passphrase)
    assert isinstance(first.error, PassphraseRequired)
    assert second.error is None


def test_download_of_chosen_keys(desk: Desk, three: list[GeneratedKey], new: Path) -> None:
    results = downloaded(desk, new, selectors=["b", three[1].fingerprint])
    assert [result.row.application for result in results] == ["ssh:b"]
    with pytest.raises(CredentialNotFound):
        downloaded(desk, new, selectors=["nobody"])
    with pytest.raises(CredentialNotFound):
        downloaded(desk, new, selectors=["example.org"])


def test_download_by_file_of_the_same_key(
    desk: Desk, three: list[GeneratedKey], new: Path, home: Path
) -> None:
    made = make(desk, home / ".ssh/id_mine", application="ssh:mine")
    (result,) = downloaded(desk, new, selectors=[str(made.path)])
    assert result.row.fingerprint == made.fingerprint


def test_a_file_outside_the_searched_folders_names_its_key(
    desk: Desk, three: list[GeneratedKey], new: Path, home: Path
) -> None:
    alone = new / "copy.pub"
    alone.write_bytes(three[1].public_path.read_bytes())
    rows = listed(desk)
    assert [row.files for row in rows] == [(), ()]
    for path in (three[1].path, three[1].public_path, alone):
        assert resident_keys.resolve(str(path), rows).fingerprint == three[1].fingerprint
    (new / "alice").write_text("no key\n")
    for name in ("alice", str(new / "alice"), "a\0b", "", "~nobody-has-this/x"):
        if name == "alice":
            assert resident_keys.resolve(name, rows).application == "ssh:a"
            continue
        with pytest.raises(CredentialNotFound):
            resident_keys.resolve(name, rows)


def test_download_by_template(desk: Desk, three: list[GeneratedKey], new: Path) -> None:
    names = [r.path.name for r in downloaded(desk, new, template="{type}-{application}-{user}")]
    assert names == ["ed25519_sk-a-alice", "ecdsa_sk-b-"]
    with pytest.raises(UsageError, match="nothing"):
        downloaded(desk, new, template="{nothing}")


def test_one_name_for_all_is_made_unique(desk: Desk, three: list[GeneratedKey], new: Path) -> None:
    results = downloaded(desk, new, template="same")
    assert len({result.path for result in results}) == 2
    assert all(result.error is None for result in results)


def test_hostile_text_stays_in_the_folder(desk: Desk, folder: Path, new: Path) -> None:
    make(
        desk,
        folder / "evil",
        application="ssh:../../etc/x\x1b[2J",
        user="../..",
        comment="c\x1b[2J",
    )
    (result,) = downloaded(desk, new)
    assert result.error is None
    assert result.path.parent == new
    assert "\x1b" not in result.path.name
    assert "\x1b" not in Path(f"{result.path}.pub").read_text()


def row_of(desk: Desk, selector: str, *, any_rp: bool = False) -> KeyRow:
    return resident_keys.resolve(selector, listed(desk, any_rp=any_rp))


def test_delete(desk: Desk, three: list[GeneratedKey]) -> None:
    with desk.open() as session:
        row = resident_keys.resolve("alice", resident_keys.list_keys(session))
        resident_keys.delete_key(session, row)
        with pytest.raises(CredentialNotFound):
            resident_keys.delete_key(session, row)
    assert [row.application for row in listed(desk, any_rp=True)] == ["example.org", "ssh:b"]
    assert three[0].path.exists(), "local files stay"
    assert len(desk.person.asked) == 5, "one PIN a command: three made, one deleted, one listed"


@pytest.mark.parametrize("signs", [False, True])
@pytest.mark.parametrize("permissions", [False, True], ids=["CTAP 2.0 tokens", "permissions"])
@pytest.mark.parametrize("verified", [False, True], ids=["touch", "touch and PIN"])
def test_a_deleted_key_is_asked_for(
    folder: Path, verified: bool, permissions: bool, signs: bool
) -> None:
    """Nothing but the PIN that deleted it is asked for; so one that needs its own stays unknown."""
    with VirtualToken(profile="ctap2.1") as usual:
        options = {**usual.profile.options, "pinUvAuthToken": permissions}
        behavior = replace(usual.profile.behavior, token_has_permissions=permissions)
    if not permissions:
        del options["pinUvAuthToken"]
    profile = replace(
        usual.profile, options=options, behavior=replace(behavior, deleted_keys_sign=signs)
    )
    person = Person("246810", "246810", "246810")
    with VirtualToken(profile=profile) as token:
        set_pin(session_on(token.link(), person), PinCode.parse("246810"))
        request = replace(BASE, path=folder / "key", verify_required=verified)
        generate_key(session_on(token.link(), person), request)
        session = session_on(token.link(), person)
        (row,) = resident_keys.list_keys(session, only_token=True, search_home=False)
        asked = len(person.asked)
        seen = resident_keys.delete_key(session, row)
        assert seen is (signs and not (verified and permissions))
        assert (DELETED_KEY_SIGNS in session.departures) is seen
        assert len(person.asked) == asked
        assert resident_keys.list_keys(session, only_token=True, search_home=False) == []


def test_a_websites_credential_is_safe(desk: Desk, three: list[GeneratedKey]) -> None:
    row = row_of(desk, "example.org", any_rp=True)
    with desk.open() as session:
        with pytest.raises(UsageError):
            resident_keys.delete_key(session, row)
        with pytest.raises(UsageError):
            resident_keys.rename_key(session, row, comment="x")
        resident_keys.delete_key(session, row, any_rp=True)
    assert "example.org" not in [row.application for row in listed(desk, any_rp=True)]


def test_a_file_alone_cannot_be_deleted(
    desk: Desk, three: list[GeneratedKey], folder: Path
) -> None:
    rows = listed(desk, folders=[folder])
    with desk.open() as session, pytest.raises(CredentialNotFound, match="not on this token"):
        resident_keys.delete_key(session, resident_keys.resolve(str(folder / "w"), rows))


def test_rename(desk: Desk, three: list[GeneratedKey], new: Path) -> None:
    with desk.open() as session:
        row = resident_keys.resolve("alice", resident_keys.list_keys(session))
        resident_keys.rename_key(session, row, comment="new comment")
    row = row_of(desk, "new comment")
    assert (row.fingerprint, row.user) == (three[0].fingerprint, "alice")
    assert row.touch_required is False, "what rides beside the comment stays"
    user_name = row.user_name
    with desk.open() as session:
        resident_keys.rename_key(session, row, user_name="Alice")
    row = row_of(desk, "new comment")
    assert row.user_name == "Alice" != user_name
    (result,) = downloaded(desk, new, selectors=["alice"])
    assert parse_private(result.path.read_bytes(), None).comment == "new comment"


def test_rename_to_nothing_new(desk: Desk, three: list[GeneratedKey]) -> None:
    row = row_of(desk, "alice")
    with desk.open() as session, pytest.raises(UsageError, match="nothing to change"):
        resident_keys.rename_key(session, row)


@pytest.mark.parametrize("profile", ["u2f"])
def test_a_token_without_credential_management_says_so(profile: str, folder: Path) -> None:
    desk = Desk()
    desk.plug("OLD", VirtualToken(profile=profile))
    with desk.open() as session, pytest.raises(Unsupported) as caught:
        resident_keys.list_keys(session)
    assert caught.value.hint
    desk.close()


def test_a_credential_of_a_type_that_openssh_does_not_know(
    desk: Desk, three: list[GeneratedKey], new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strange = ResidentCredential(
        CredentialId(b"\x01" * 16),
        Application("../example.org"),
        UserId(b"user"),
        "name",
        "display",
        None,
        CredProtect.UV_OPTIONAL,
    )
    monkeypatch.setattr(resident, "list_credentials", lambda *args, **options: [strange])
    (result,) = downloaded(desk, new, any_rp=True)
    assert isinstance(result.error, Unsupported)
    assert result.path.parent == new
    assert list(new.iterdir()) == []
