"""Keys whose private part stays in a file's handle: made, used, and refused to strangers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hwtests.desk import Desk

from fidokit.client.session import Session
from fidokit.errors import CredentialNotFound, FidokitError, Unsupported
from fidokit.keys.holder import open_key_file
from fidokit.openssh.keys.private import PrivateFile, SkPrivate
from fidokit.signing.signatures import sign_message
from fidokit.signing.signers import SessionSigner
from fidokit.types import KeyHandle, KeyType
from hwtests import keys


def _usable(desk: Desk) -> None:
    """A token that always verifies its owner wants the PIN here, too."""
    if desk.info.always_uv and desk.person.pin is None:
        pytest.skip("the token always asks for the PIN, which is not known: give --pin-file")


def _needs_pin_to_make(desk: Desk) -> None:
    _usable(desk)
    made_freely = desk.info.make_credential_needs_no_pin or not desk.info.pin_set
    if not made_freely and desk.person.pin is None:
        pytest.skip("the token makes no key without its PIN, which is not known: give --pin-file")


def test_ecdsa(desk: Desk, token: Session, tmp_path: Path) -> None:
    _needs_pin_to_make(desk)
    made = keys.make(token, tmp_path / "id", KeyType.ECDSA_SK)
    signed = keys.use(token, made.path)
    assert (signed.fingerprint, signed.touched) == (made.fingerprint, True)


@pytest.mark.needs("ed25519")
def test_ed25519(desk: Desk, token: Session, tmp_path: Path) -> None:
    _needs_pin_to_make(desk)
    try:
        made = keys.make(token, tmp_path / "id", KeyType.ED25519_SK)
    except Unsupported as error:  # a token of CTAP 2.0 lists no algorithms
        if token.info.algorithms:
            raise
        pytest.skip(error.message)
    signed = keys.use(token, made.path)
    assert (signed.fingerprint, signed.touched) == (made.fingerprint, True)


def test_each_signature_counts(desk: Desk, token: Session, tmp_path: Path) -> None:
    _needs_pin_to_make(desk)
    made = keys.make(token, tmp_path / "id", KeyType.ECDSA_SK)
    first, second = (keys.use(token, made.path).counter or 0 for _ in range(2))
    assert second > first or first == second == 0  # tokens without a counter say 0


def test_no_touch_required(desk: Desk, token: Session, tmp_path: Path) -> None:
    _needs_pin_to_make(desk)
    made = keys.make(token, tmp_path / "id", KeyType.ECDSA_SK, touch_required=False)
    before = desk.person.touches
    try:
        signed = keys.use(token, made.path)
    except FidokitError as error:
        pytest.skip(f"the token insists on a touch: {error.message}")
    assert not signed.touched
    assert desk.person.touches == before


@pytest.mark.needs("pin", "verify")
def test_verify_required(desk: Desk, token: Session, tmp_path: Path) -> None:
    made = keys.make(token, tmp_path / "id", keys.best_type(desk), verify_required=True)
    signed = keys.use(token, made.path)
    assert (signed.touched, signed.verified) == (True, True)


def test_a_key_of_another_token_is_not_used(
    desk: Desk, token: Session, tmp_path: Path, differs: Callable[[str], None]
) -> None:
    _needs_pin_to_make(desk)
    file = open_key_file(keys.make(token, tmp_path / "id", KeyType.ECDSA_SK).path)
    handle = bytearray(file.key.key_handle)
    handle[len(handle) // 2] ^= 1
    strange = PrivateFile(SkPrivate(file.key.public, file.key.flags, KeyHandle(bytes(handle))), "")
    before = desk.person.touches
    with pytest.raises(CredentialNotFound):
        sign_message(SessionSigner(token, strange), keys.MESSAGE)
    if desk.person.touches != before:
        differs("it waits for a touch before it says that it has not the key")


def test_attestation_is_written(desk: Desk, token: Session, tmp_path: Path) -> None:
    _needs_pin_to_make(desk)
    made = keys.make(
        token, tmp_path / "id", KeyType.ECDSA_SK, attestation_file=tmp_path / "attestation"
    )
    assert made.attestation_path is not None
    assert made.attestation_path.read_bytes()[4:].startswith(b"ssh-sk-attest-v0")


def test_stock_ssh_keygen_reads_the_files(desk: Desk, token: Session, tmp_path: Path) -> None:
    _needs_pin_to_make(desk)
    made = keys.make(token, tmp_path / "id", KeyType.ECDSA_SK)
    try:
        told = subprocess.check_output(["ssh-keygen", "-lf", made.path])
    except FileNotFoundError:
        pytest.skip("ssh-keygen is not installed")
    assert made.fingerprint in told.decode()
