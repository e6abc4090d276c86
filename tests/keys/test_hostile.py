"""Tokens that answer rubbish or disappear, at every message of every command.

Each command is run with the fault at its first message, then at its second, and so on until it
comes through. Every run ends in our own error, or in success where the fault did no harm; and
never in half a file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.desk import PIN, Desk
from tests.support.link_faults import Counter, Fault, FaultyLink

from fidokit.client.discovery import open_session
from fidokit.client.ports import Candidate, PinCode
from fidokit.client.session import Session
from fidokit.errors import FidokitError
from fidokit.keys import holder, resident_keys
from fidokit.keys.generation import GenerateRequest, OrphanedCredential, generate_key
from fidokit.openssh.keys.private import parse_private
from fidokit.openssh.keys.public import parse_public_line
from fidokit.signing import signatures
from fidokit.signing.signers import SessionSigner
from fidokit.tokens import owner as pin
from fidokit.tokens import reset
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")

MOST_MESSAGES = 40
Command = Callable[[Session, Path], object]


def faulty(desk: Desk, counter: Counter) -> Candidate:
    good = desk.candidate("ONE")
    return Candidate(
        good.transport,
        good.path,
        good.product,
        good.serial,
        good.selector,
        good.durable,
        lambda: FaultyLink(good.open(), counter),
    )


def make_resident(session: Session, folder: Path) -> object:
    request = GenerateRequest(
        KeyType.ED25519_SK,
        folder / "new",
        application="ssh:new",
        resident=True,
        verify_required=True,
        attestation_file=folder / "new.attestation",
        replace=True,
    )
    return generate_key(session, request)


def make_simple(session: Session, folder: Path) -> object:
    return generate_key(session, GenerateRequest(KeyType.ECDSA_SK, folder / "new"))


def list_them(session: Session, folder: Path) -> object:
    return resident_keys.list_keys(session, folders=[folder])


def download(session: Session, folder: Path) -> object:
    return list(resident_keys.download_keys(session, folder))


def sign(session: Session, folder: Path) -> object:
    return signatures.sign_message(
        SessionSigner(session, holder.open_key_file(folder / "old")), b"message"
    )


def rename(session: Session, folder: Path) -> object:
    row = resident_keys.resolve("ssh:old", resident_keys.list_keys(session))
    return resident_keys.rename_key(session, row, comment="renamed")


def look(session: Session, folder: Path) -> object:
    return pin.pin_status(session)


def verify_pin(session: Session, folder: Path) -> object:
    return pin.verify_pin(session)


def change_pin(session: Session, folder: Path) -> object:
    return pin.change_pin(session, PinCode.parse(PIN), PinCode.parse(PIN))


def plan_reset(session: Session, folder: Path) -> object:
    return reset.plan_reset(session, ask_pin=True)


COMMANDS: list[Command] = [
    make_resident,
    make_simple,
    list_them,
    download,
    sign,
    rename,
    look,
    verify_pin,
    change_pin,
    plan_reset,
]


@pytest.fixture
def used_desk(desk: Desk, folder: Path) -> Desk:
    """A token with a key that is also in a file."""
    with desk.open() as session:
        generate_key(
            session,
            GenerateRequest(
                KeyType.ED25519_SK,
                folder / "old",
                application="ssh:old",
                resident=True,
                verify_required=True,
            ),
        )
    return desk


def whole_files_alone(folder: Path) -> None:
    """Private files parse and have their public half; nothing else lies about."""
    for path in folder.iterdir():
        assert not path.name.startswith(".fidokit"), path
        if path.suffix == ".pub":
            key = parse_private(path.with_suffix("").read_bytes(), None).key
            assert parse_public_line(path.read_text()).key == key.public
        elif path.suffix != ".attestation":
            assert path.with_name(path.name + ".pub").exists()


def strike(desk: Desk, command: Command, folder: Path, counter: Counter) -> FidokitError | None:
    desk.tokens["ONE"].power_cycle()
    try:
        with open_session(faulty(desk, counter), desk.person) as session:
            command(session, folder)
    except FidokitError as error:
        return error
    return None


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("command", COMMANDS)
def test_a_fault_at_every_message(
    used_desk: Desk, folder: Path, command: Command, fault: Fault
) -> None:
    errors = 0
    for at in range(MOST_MESSAGES):
        counter = Counter(at, fault)
        error = strike(used_desk, command, folder, counter)
        whole_files_alone(folder)
        if not counter.struck:
            assert error is None, error
            break
        if error is not None:
            errors += 1
            assert error.message
            assert not isinstance(error, OrphanedCredential), "the disk did nothing wrong"
        for path in [*folder.glob("new*"), *folder.glob("id_*")]:
            path.unlink()
    else:
        pytest.fail(f"more than {MOST_MESSAGES} messages")
    assert errors > 0


def test_a_wrong_answer_costs_no_pin_try(used_desk: Desk, folder: Path) -> None:
    for fault in (Fault.CUT, Fault.RUBBISH, Fault.NULL_MAP):
        for at in range(4):
            strike(used_desk, list_them, folder, Counter(at, fault))
    used_desk.tokens["ONE"].power_cycle()
    with used_desk.open() as session:
        assert pin.pin_status(session).retries == 8
