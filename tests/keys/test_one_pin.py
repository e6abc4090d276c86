"""One PIN prompt a command, and a touch is announced where the token waits for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.client.session import Session
from fidokit.keys import holder, resident_keys
from fidokit.keys.generation import GenerateRequest, generate_key
from fidokit.signing import signatures
from fidokit.signing.signers import SessionSigner
from fidokit.tokens import owner as pin
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")

Command = Callable[[Session, Path], object]


def generate_another(session: Session, folder: Path) -> object:
    request = GenerateRequest(
        KeyType.ECDSA_SK,
        folder / "another",
        application="ssh:another",
        resident=True,
        verify_required=True,
    )
    return generate_key(session, request)


def replace(session: Session, folder: Path) -> object:
    request = GenerateRequest(
        KeyType.ECDSA_SK,
        folder / "key1",
        application="ssh:1",
        resident=True,
        force=True,
        replace=True,
    )
    return generate_key(session, request)


def list_all(session: Session, folder: Path) -> object:
    return resident_keys.list_keys(session, any_rp=True)


def download_all(session: Session, folder: Path) -> object:
    return list(resident_keys.download_keys(session, folder))


def delete_one(session: Session, folder: Path) -> object:
    return resident_keys.delete_key(
        session, resident_keys.resolve("ssh:1", resident_keys.list_keys(session))
    )


def rename_one(session: Session, folder: Path) -> object:
    row = resident_keys.resolve("ssh:1", resident_keys.list_keys(session))
    return resident_keys.rename_key(session, row, comment="new")


def sign_verified(session: Session, folder: Path) -> object:
    return signatures.sign_message(
        SessionSigner(session, holder.open_key_file(folder / "key1")), b"message"
    )


def verify(session: Session, folder: Path) -> object:
    return pin.verify_pin(session)


def status(session: Session, folder: Path) -> object:
    return pin.pin_status(session)


@pytest.fixture
def three_keys(desk: Desk, folder: Path) -> Desk:
    for number in range(3):
        request = GenerateRequest(
            KeyType.ED25519_SK,
            folder / f"key{number}",
            application=f"ssh:{number}",
            resident=True,
            verify_required=True,
        )
        with desk.open() as session:
            generate_key(session, request)
    desk.person.asked.clear()
    desk.person.touches.clear()
    return desk


@pytest.mark.parametrize(
    ("command", "prompts", "touches"),
    [
        (generate_another, 1, 1),
        (replace, 1, 1),
        (list_all, 1, 0),
        (download_all, 1, 0),
        (delete_one, 1, 0),
        (rename_one, 1, 0),
        (sign_verified, 1, 1),
        (verify, 1, 0),
        (status, 0, 0),
    ],
)
def test_prompts_and_touches(
    three_keys: Desk, folder: Path, command: Command, prompts: int, touches: int
) -> None:
    with three_keys.open() as session:
        command(session, folder)
    assert len(three_keys.person.asked) == prompts
    assert len(three_keys.person.touches) == touches
    assert all(three_keys.person.asked)
