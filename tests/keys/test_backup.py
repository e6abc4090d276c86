from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.desk import PIN, Desk
from tests.support.key_rows import credential, file, key

from fidokit.client.credentials.resident import ResidentCredential
from fidokit.client.ports import PinCode
from fidokit.errors import FileInTheWay, PinNotSet, Unsupported, UsageError
from fidokit.inventory.key_list import Backup, KeyRow, backup_states, join
from fidokit.keys.backup import backup_of, check_ceremony, with_backups
from fidokit.keys.generation import GenerateRequest, generate_key, user_at_host
from fidokit.keys.resident_keys import list_keys
from fidokit.tokens import owner as pin
from fidokit.types import CredentialId, KeyType
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

REQUEST = GenerateRequest(KeyType.ED25519_SK, application="ssh:x", comment="me")


@pytest.fixture
def two(desk: Desk) -> Desk:
    """Two tokens with the same PIN."""
    desk.plug("TWO")
    with desk.open("usb:TWO") as session:
        pin.set_pin(session, PinCode.parse(PIN))
    return desk


def test_requests_for_backups_differ_by_name_and_comment(folder: Path) -> None:
    first = replace(REQUEST, path=folder / "id", attestation_file=folder / "proof")
    requests = with_backups(first, 2)
    assert requests[0] is first
    assert [r.path for r in requests] == [folder / n for n in ("id", "id_backup", "id_backup2")]
    assert [r.comment for r in requests] == ["me", "me (backup)", "me (backup 2)"]
    assert [r.attestation_file for r in requests[1:]] == [
        folder / "proof_backup",
        folder / "proof_backup2",
    ]
    same = {replace(r, path=None, comment=None, attestation_file=None) for r in requests}
    assert len(same) == 1


def test_defaults(home: Path) -> None:
    _, backup = with_backups(GenerateRequest(KeyType.ECDSA_SK), 1)
    assert backup.path == home / ".ssh" / "id_ecdsa_sk_backup"
    assert backup.comment == f"{user_at_host()} (backup)"


def test_too_many() -> None:
    with pytest.raises(UsageError, match="10 backups"):
        with_backups(REQUEST, 10)


def test_the_whole_ceremony(two: Desk, folder: Path) -> None:
    requests = with_backups(replace(REQUEST, path=folder / "id", resident=True), 1)
    with two.open("usb:ONE") as one, two.open("usb:TWO") as other:
        check_ceremony([one, other], requests)
        made = [generate_key(s, r) for s, r in zip([one, other], requests, strict=True)]
    assert made[0].fingerprint != made[1].fingerprint
    with two.open("usb:TWO") as session:
        (row,) = list_keys(session, only_token=True)
    assert (row.fingerprint, row.comment) == (made[1].fingerprint, "me (backup)")


def test_one_token_twice(two: Desk, folder: Path) -> None:
    """Also by two names for it: /dev/ONE is usb:ONE."""
    requests = with_backups(replace(REQUEST, path=folder / "id"), 1)
    with (
        two.open("usb:ONE") as one,
        two.open("usb:/dev/ONE") as same,
        pytest.raises(UsageError, match="usb:ONE is named twice"),
    ):
        check_ceremony([one, same], requests)


def test_what_the_second_token_cannot_do_is_said_before_the_first_touch(
    two: Desk, folder: Path
) -> None:
    two.plug("OLD", VirtualToken(profile="u2f"))
    two.plug("NEW")
    requests = with_backups(replace(REQUEST, path=folder / "id", resident=True), 1)
    with two.open("usb:ONE") as one:
        for name, error in (("OLD", Unsupported), ("NEW", PinNotSet)):
            with two.open(f"usb:{name}") as other, pytest.raises(error):
                check_ceremony([one, other], requests)
    assert not two.person.touches


def test_files_in_the_way_of_the_backup(two: Desk, folder: Path) -> None:
    requests = with_backups(replace(REQUEST, path=folder / "id"), 1)
    (folder / "id_backup.pub").touch()
    with (
        two.open("usb:ONE") as one,
        two.open("usb:TWO") as other,
        pytest.raises(FileInTheWay, match="id_backup"),
    ):
        check_ceremony([one, other], requests)


@pytest.mark.parametrize("resident", [True, False])
@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("touch", [True, False])
def test_a_backup_that_is_made_later(
    two: Desk, folder: Path, resident: bool, verify: bool, touch: bool
) -> None:
    first = replace(
        REQUEST,
        path=folder / "id",
        resident=resident,
        verify_required=verify,
        touch_required=touch,
        user="alice",
    )
    with two.open("usb:ONE") as session:
        generate_key(session, first)
    later = backup_of(folder / "id", user="alice")
    assert later == replace(with_backups(first, 1)[1], allow_any_application=True)
    with two.open("usb:TWO") as session:
        generate_key(session, later)
    assert backup_of(folder / "id").comment == "me (backup 2)"


def held(
    number: int, comment: str, application: str = "ssh:", user: str = ""
) -> ResidentCredential:
    return credential(key(number, application), CredentialId(bytes([number])), user, "", comment)


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
