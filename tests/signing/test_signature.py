"""Signatures: ours verify, and what is wrong with another is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.desk import Desk

from fidokit.client.credentials import signature as token_sign
from fidokit.errors import (
    CredentialNotFound,
    MalformedKey,
    PassphraseRequired,
    SignatureInvalid,
    TokenMisbehaved,
    TokenNotFound,
    UsageError,
    WouldOverwrite,
)
from fidokit.files.pieces import PIECE
from fidokit.keys import holder
from fidokit.keys.generation import Generated, GenerateRequest, generate
from fidokit.openssh.signatures.signature import SkEd25519Signature
from fidokit.signing import signature as signing
from fidokit.signing import verification
from fidokit.types import KeyType

pytestmark = pytest.mark.usefixtures("home")

MESSAGE = b"what is signed"


@pytest.fixture(params=list(KeyType))
def made(desk: Desk, folder: Path, request: pytest.FixtureRequest) -> Generated:
    with desk.open() as session:
        return generate(session, GenerateRequest(request.param, folder / "key"))


@pytest.fixture
def signature(desk: Desk, made: Generated) -> str:
    with desk.open() as session:
        return signing.sign(session, holder.open_key(made.path), MESSAGE)


@pytest.fixture
def signers(folder: Path, made: Generated) -> Path:
    path = folder / "allowed_signers"
    path.write_text(f'# comment\nalice@example.org namespaces="file" {made.public_line}\n')
    return path


def test_sign_and_verify(made: Generated, signature: str) -> None:
    for key in (made.public_path, made.path):
        good = verification.verify(MESSAGE, signature, public_key=key)
        assert (good.fingerprint, good.namespace) == (made.fingerprint, "file")
        assert (good.touched, good.verified, good.principal) == (True, False, "")
        assert good.counter is not None


def test_files(desk: Desk, made: Generated, folder: Path) -> None:
    file = folder / "document"
    file.write_bytes(b"x" * (PIECE + 1))
    with desk.open() as session:
        key = holder.open_key(made.path)
        target = signing.sign_file(session, key, file, hash_name="sha256", namespace="git")
        assert target == folder / "document.sig"
        touches = len(desk.person.touches)
        with pytest.raises(WouldOverwrite):
            signing.sign_file(session, key, file)
        assert len(desk.person.touches) == touches
        signing.sign_file(session, key, file, hash_name="sha256", namespace="git", force=True)
    assert verification.verify(file, target, public_key=made.public_path, namespace="git").touched
    file.write_bytes(b"x")
    with pytest.raises(SignatureInvalid):
        verification.verify(file, target, public_key=made.public_path, namespace="git")


def test_a_changed_message(made: Generated, signature: str) -> None:
    with pytest.raises(SignatureInvalid):
        verification.verify(MESSAGE + b"!", signature, public_key=made.public_path)


def test_another_namespace(made: Generated, signature: str) -> None:
    with pytest.raises(SignatureInvalid, match="namespace"):
        verification.verify(MESSAGE, signature, public_key=made.public_path, namespace="git")


def test_another_key(desk: Desk, signature: str, folder: Path) -> None:
    with desk.open() as session:
        other = generate(session, GenerateRequest(KeyType.ECDSA_SK, folder / "other"))
    with pytest.raises(SignatureInvalid, match="by another key"):
        verification.verify(MESSAGE, signature, public_key=other.public_path)


def test_allowed_signers(signature: str, signers: Path) -> None:
    found = verification.verify(MESSAGE, signature, allowed_signers=signers)
    assert found.principal == "alice@example.org"
    known = verification.verify(
        MESSAGE, signature.encode(), allowed_signers=signers, principal="alice@example.org"
    )
    assert known == found
    with pytest.raises(SignatureInvalid, match="mallory"):
        verification.verify(MESSAGE, signature, allowed_signers=signers, principal="mallory")


def test_strangers(signature: str, signers: Path) -> None:
    signers.write_text("")
    with pytest.raises(SignatureInvalid, match="does not know its key"):
        verification.verify(MESSAGE, signature, allowed_signers=signers)


def test_validity_is_judged_at_a_time(made: Generated, signature: str, signers: Path) -> None:
    signers.write_text(f'alice valid-before="20250101Z" {made.public_line}\n')
    with pytest.raises(SignatureInvalid):
        verification.verify(MESSAGE, signature, allowed_signers=signers)
    assert verification.verify(MESSAGE, signature, allowed_signers=signers, at=1_700_000_000)


def test_namespaces_of_allowed_signers(desk: Desk, made: Generated, signers: Path) -> None:
    with desk.open() as session:
        other = signing.sign(session, holder.open_key(made.path), MESSAGE, namespace="git")
    with pytest.raises(SignatureInvalid, match="git"):
        verification.verify(MESSAGE, other, allowed_signers=signers, namespace="git")


def test_exactly_one_way_to_verify(made: Generated, signature: str, signers: Path) -> None:
    with pytest.raises(UsageError):
        verification.verify(MESSAGE, signature)
    with pytest.raises(UsageError):
        verification.verify(
            MESSAGE, signature, public_key=made.public_path, allowed_signers=signers
        )


@pytest.mark.parametrize("text", ["", "junk", "-----BEGIN SSH SIGNATURE-----\nAAAA\n"])
def test_rubbish_is_no_signature(made: Generated, text: str) -> None:
    with pytest.raises(MalformedKey):
        verification.verify(MESSAGE, text, public_key=made.public_path)


def test_an_empty_namespace_or_unknown_hash(desk: Desk, made: Generated) -> None:
    key = holder.open_key(made.path)
    with desk.open() as session:
        with pytest.raises(UsageError):
            signing.sign(session, key, MESSAGE, namespace="")
        with pytest.raises(UsageError):
            signing.sign(session, key, MESSAGE, hash_name="md5")
    assert desk.person.touches == ["making the key"]


def test_a_passphrase_is_asked_once(desk: Desk, folder: Path) -> None:
    with desk.open() as session:
        generate(
            session,
            GenerateRequest(KeyType.ED25519_SK, folder / "locked", rounds=1),
            passphrase=lambda path: b"secret",
        )
    with pytest.raises(PassphraseRequired):
        holder.open_key(folder / "locked")
    words = [b"secret"]
    key = holder.open_key(folder / "locked", passphrase=words.pop)
    with desk.open() as session:
        signing.sign(session, key, MESSAGE)


def test_a_token_that_signs_rubbish_is_found_out(
    desk: Desk, made: Generated, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rubbish(*args: object) -> SkEd25519Signature:
        return SkEd25519Signature(bytes(64), 1, 1)

    monkeypatch.setattr(token_sign, "sign", rubbish)
    with desk.open() as session, pytest.raises(TokenMisbehaved, match="does not verify"):
        signing.sign(session, holder.open_key(made.path), MESSAGE)


def test_the_token_with_the_key_is_found_silently(desk: Desk, made: Generated) -> None:
    desk.plug("AAA")
    desk.plug("ZZZ")
    touches = len(desk.person.touches)
    key = holder.open_key(made.path)
    with holder.token_for_key(key, desk.person, backends=[desk]) as session:
        assert session.selector == "usb:ONE"
        assert len(desk.person.touches) == touches
        signing.sign(session, key, MESSAGE)


def test_the_selector_wins(desk: Desk, made: Generated) -> None:
    desk.plug("AAA")
    key = holder.open_key(made.path)
    with holder.token_for_key(key, desk.person, selector="usb:AAA", backends=[desk]) as session:
        assert session.selector == "usb:AAA"
        with pytest.raises(CredentialNotFound):
            signing.sign(session, key, MESSAGE)


def test_no_token_at_all(made: Generated) -> None:
    key = holder.open_key(made.path)
    with (
        pytest.raises(TokenNotFound),
        holder.token_for_key(key, backends=[Desk()]),
    ):
        pytest.fail("there is no token")
