"""A key and its files: both, or a key that is named and not lost."""

from __future__ import annotations

import errno
import os
import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.errors import (
    FidokitError,
    PinNotSet,
    TouchRefused,
    Unsupported,
    UsageError,
    WouldOverwrite,
)
from fidokit.files import keyfile
from fidokit.keys import generation, holder
from fidokit.keys.generation import GeneratedKey, GenerateRequest, OrphanedCredential, generate_key
from fidokit.openssh.keys.private import parse_private
from fidokit.openssh.keys.public import parse_public_line
from fidokit.openssh.signatures.attestation import parse_attestation
from fidokit.signing import signatures
from fidokit.signing.signers import SessionSigner
from fidokit.types import KeyType, SkFlag
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.usefixtures("home")

ED, EC = KeyType.ED25519_SK, KeyType.ECDSA_SK


def request(folder: Path, **changes: object) -> GenerateRequest:
    return replace(GenerateRequest(ED, folder / "key"), **changes)  # type: ignore[arg-type]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("key_type", [ED, EC])
def test_a_key_and_its_files(desk: Desk, folder: Path, key_type: KeyType) -> None:
    with desk.open() as session:
        made = generate_key(session, request(folder, key_type=key_type))
    line = parse_public_line((folder / "key.pub").read_text())
    private = parse_private((folder / "key").read_bytes(), None)
    assert (mode(folder / "key"), mode(folder / "key.pub")) == (0o600, 0o644)
    assert private.key.public == line.key
    assert private.key.flags == SkFlag.USER_PRESENCE_REQUIRED
    assert private.comment == line.comment == made.comment == generation.user_at_host()
    assert made.public_line == line.encode()
    assert f"[{line.key.short_type} 256]" in made.randomart.splitlines()[0]
    assert (made.path, made.public_path) == (folder / "key", folder / "key.pub")
    assert not made.warnings
    assert desk.person.touches


def test_the_default_is_ssh_keygens(desk: Desk, home: Path) -> None:
    with desk.open() as session:
        made = generate_key(session, GenerateRequest(EC))
    assert made.path == home / ".ssh/id_ecdsa_sk"
    assert mode(home / ".ssh") == 0o700


def test_every_flag(desk: Desk, folder: Path) -> None:
    wanted = request(
        folder,
        resident=True,
        verify_required=True,
        touch_required=False,
        comment="my key",
        application="ssh:app",
        user="alice",
    )
    with desk.open() as session:
        made = generate_key(session, wanted)
    private = parse_private((folder / "key").read_bytes(), None)
    assert private.key.flags == SkFlag.USER_VERIFICATION_REQUIRED | SkFlag.RESIDENT_KEY
    assert (made.resident, made.verify_required, made.touch_required) == (True, True, False)
    assert (made.application, made.user, made.comment) == ("ssh:app", "alice", "my key")
    assert len(desk.person.asked) == 1


def test_under_a_passphrase(desk: Desk, folder: Path) -> None:
    asked: list[Path] = []

    def passphrase(path: Path) -> bytes:
        assert not desk.person.touches, "asked before the touch"
        asked.append(path)
        return b"secret"

    with desk.open() as session:
        generate_key(session, request(folder, rounds=1), passphrase=passphrase)
    assert asked == [folder / "key"]
    parse_private((folder / "key").read_bytes(), lambda: b"secret")


def test_attestation_and_challenge(desk: Desk, folder: Path) -> None:
    (folder / "challenge").write_bytes(b"c" * 100)
    wanted = request(
        folder, challenge_file=folder / "challenge", attestation_file=folder / "attestation"
    )
    with desk.open() as session:
        made = generate_key(session, wanted)
    assert made.challenge == b"c" * 100
    assert made.attestation_path == folder / "attestation"
    assert parse_attestation((folder / "attestation").read_bytes()).version == 1


def test_an_empty_challenge_is_none(desk: Desk, folder: Path) -> None:
    """Stock refuses it too: an attestation over it could be anybody's, of any day."""
    (folder / "challenge").touch()
    asked = request(folder, path=folder / "key", challenge_file=folder / "challenge")
    with desk.open() as session, pytest.raises(UsageError, match="is empty") as caught:
        generate_key(session, asked)
    assert caught.value.hint
    assert not (folder / "key").exists()
    assert desk.person.touches == []


@pytest.mark.parametrize("name", ["key", "key.pub", "attestation"])
def test_what_is_in_the_way_is_found_before_the_token_is_asked(
    desk: Desk, folder: Path, name: str
) -> None:
    (folder / name).write_bytes(b"old")
    with desk.open() as session:
        before = session.round_trips
        with pytest.raises(WouldOverwrite, match=name):
            generate_key(session, request(folder, attestation_file=folder / "attestation"))
        assert session.round_trips == before
    assert [path.name for path in folder.iterdir()] == [name]
    assert (folder / name).read_bytes() == b"old"


def test_force_replaces_files(desk: Desk, folder: Path) -> None:
    for name in ("key", "key.pub", "attestation"):
        (folder / name).write_bytes(b"old")
    wanted = request(folder, force=True, attestation_file=folder / "attestation")
    with desk.open() as session:
        generate_key(session, wanted)
    assert mode(folder / "key") == 0o600
    assert b"old" not in {path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "changes",
    [
        {"application": "example.org"},
        {"user": "u" * 32},
        {"comment": "two\nlines"},
        {"rounds": 0},
        {"path": Path("/nonexistent/folder/key")},
        {"challenge_file": Path("/nonexistent")},
    ],
)
def test_nonsense_is_refused_before_the_token_is_asked(
    desk: Desk, folder: Path, changes: dict[str, object]
) -> None:
    with desk.open() as session:
        before = session.round_trips
        with pytest.raises(FidokitError):
            generate_key(session, request(folder, **changes))
        assert session.round_trips == before
    assert not desk.person.touches
    assert list(folder.iterdir()) == []


def test_any_application_if_meant(desk: Desk, folder: Path) -> None:
    with desk.open() as session:
        made = generate_key(
            session, request(folder, application="example.org", allow_any_application=True)
        )
    assert made.application == "example.org"


def test_resident_without_a_pin(bare_desk: Desk, folder: Path) -> None:
    with bare_desk.open() as session, pytest.raises(PinNotSet):
        generate_key(session, request(folder, resident=True), passphrase=_never)
    assert list(folder.iterdir()) == []


def _never(path: Path) -> bytes:
    pytest.fail("the passphrase is asked only when the token can do its part")


def test_a_resident_key_in_the_way(desk: Desk, folder: Path) -> None:
    with desk.open() as session:
        generate_key(session, request(folder, resident=True))
    with desk.open() as session, pytest.raises(WouldOverwrite, match="resident key"):
        generate_key(session, request(folder, path=folder / "two", key_type=EC, resident=True))
    assert not (folder / "two").exists()
    with desk.open() as session:
        generate_key(session, request(folder, path=folder / "two", resident=True, replace=True))
    assert (folder / "two").exists()


def test_a_refused_touch_leaves_nothing(bare_desk: Desk, folder: Path) -> None:
    bare_desk.plug("ONE", VirtualToken(presence="deny"))
    with bare_desk.open() as session, pytest.raises(TouchRefused):
        generate_key(session, request(folder))
    assert list(folder.iterdir()) == []


def fail_writing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr(keyfile, "write_pair", refuse)


@pytest.mark.parametrize("resident", [True, False])
def test_a_key_that_could_not_be_written_is_not_lost(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch, resident: bool
) -> None:
    with monkeypatch.context() as patch, desk.open() as session:
        fail_writing(patch, FidokitError("the disk is full"))
        with pytest.raises(OrphanedCredential, match="the disk is full") as caught:
            generate_key(session, request(folder, resident=resident, user="bob"))
    orphan = caught.value.orphan
    assert orphan.resident is resident
    assert ("still holds it" in caught.value.message) is resident
    assert ("user 'bob'" in caught.value.message) is resident
    assert caught.value.hint
    assert b"PRIVATE" not in repr(orphan).encode()
    generation.save_orphan(orphan, folder / "saved")
    private = parse_private((folder / "saved").read_bytes(), None)
    assert private.key.key_handle == orphan.credential_id
    assert mode(folder / "saved") == 0o600
    with pytest.raises(WouldOverwrite):
        generation.save_orphan(orphan, folder / "saved")


def test_ctrl_c_after_the_touch_names_the_orphan_too(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_writing(monkeypatch, KeyboardInterrupt())
    with desk.open() as session, pytest.raises(OrphanedCredential, match="interrupted"):
        generate_key(session, request(folder, resident=True))


def test_an_orphan_can_be_removed_from_the_token(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_writing(monkeypatch, FidokitError("no"))
    orphans = []
    for resident in (True, False):
        with desk.open() as session, pytest.raises(OrphanedCredential) as caught:
            generate_key(session, request(folder, resident=resident))
        orphans.append(caught.value.orphan)
    with desk.open() as session:
        assert generation.delete_orphan(session, orphans[0])
        assert not generation.delete_orphan(session, orphans[0])
        assert not generation.delete_orphan(session, orphans[1])


def test_a_full_disk_after_the_touch(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch, desk.open() as session:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OrphanedCredential, match="no room on the disk"):
            generate_key(session, request(folder, attestation_file=folder / "attestation"))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("resident", [False, True])
def test_the_attestation_of_a_key_that_is_nowhere_is_in_nobodys_way(
    desk: Desk, folder: Path, monkeypatch: pytest.MonkeyPatch, resident: bool
) -> None:
    wanted = request(folder, resident=resident, attestation_file=folder / "attestation")
    with monkeypatch.context() as patch, desk.open() as session:
        fail_writing(patch, FidokitError("no"))
        with pytest.raises(OrphanedCredential):
            generate_key(session, wanted)
    # a resident key can still be downloaded, and its attestation cannot be had again
    assert [path.name for path in folder.iterdir()] == ["attestation"] * resident


def test_somebody_takes_the_name_meanwhile(desk: Desk, folder: Path) -> None:
    def passphrase(path: Path) -> bytes:
        path.write_bytes(b"somebody else's")
        return b""

    with desk.open() as session, pytest.raises(OrphanedCredential, match="already exists"):
        generate_key(session, request(folder), passphrase=passphrase)
    assert (folder / "key").read_bytes() == b"somebody else's"


def test_of_two_that_race_for_a_name_one_wins_and_the_other_is_not_lost(
    desk: Desk, folder: Path
) -> None:
    desk.plug("TWO")
    both_checked = threading.Barrier(2)
    outcomes: list[GeneratedKey | OrphanedCredential] = []

    def passphrase(path: Path) -> bytes:
        both_checked.wait(10)
        return b""

    def run(name: str) -> None:
        with desk.open(f"usb:{name}") as session:
            try:
                outcomes.append(generate_key(session, request(folder), passphrase=passphrase))
            except OrphanedCredential as error:
                outcomes.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("ONE", "TWO")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [found for found in outcomes if isinstance(found, GeneratedKey)]
    (loser,) = [found for found in outcomes if isinstance(found, OrphanedCredential)]
    assert (folder / "key.pub").read_text().strip() == winner.public_line
    assert parse_private((folder / "key").read_bytes(), None).comment == winner.comment
    generation.save_orphan(loser.orphan, folder / "other")
    assert loser.orphan.fingerprint != winner.fingerprint


def test_a_u2f_token_makes_what_it_can(folder: Path) -> None:
    old = Desk()
    old.plug("OLD", VirtualToken(profile="u2f"))
    with old.open() as session:
        made = generate_key(session, request(folder, key_type=EC))
        assert made.key_type is EC
        for changes in ({}, {"key_type": EC, "resident": True}):
            with pytest.raises(Unsupported) as caught:
                generate_key(session, request(folder, path=folder / "two", **changes))
            assert caught.value.hint
        signed = signatures.sign_message(
            SessionSigner(session, holder.open_key_file(made.path)), b"message"
        )
    assert signatures.verify_signature(b"message", signed, public_key=made.public_path).touched
    assert not (folder / "two").exists()
    old.close()


def test_a_wide_open_folder_is_worth_a_warning(desk: Desk, folder: Path) -> None:
    folder.chmod(0o777)
    with desk.open() as session:
        made = generate_key(session, request(folder))
    assert "others may replace" in made.warnings[0]


def test_the_host_may_have_no_user_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert generation.user_at_host().startswith(f"{os.getuid()}@")


def test_errors_of_the_request_are_usage_errors(desk: Desk, folder: Path) -> None:
    with desk.open() as session, pytest.raises(UsageError, match="ssh:"):
        generate_key(session, request(folder, application="web"))


@pytest.mark.parametrize(
    ("algorithms", "kinds"),
    [
        ((-7, -8), [KeyType.ED25519_SK]),
        ((-7,), [KeyType.ECDSA_SK]),
        ((), [KeyType.ED25519_SK, KeyType.ECDSA_SK]),
    ],
)
def test_the_types_that_will_do(
    desk: Desk, algorithms: tuple[int, ...], kinds: list[KeyType]
) -> None:
    from types import SimpleNamespace

    from fidokit.client.info import TokenInfo
    from fidokit.keys.generation import key_types

    token = SimpleNamespace(info=TokenInfo(versions=("FIDO_2_0",), algorithms=algorithms))
    with desk.open() as session:
        assert key_types([session, token]) == kinds  # type: ignore[list-item]
        assert key_types([session], "ecdsa-sk") == [KeyType.ECDSA_SK]
