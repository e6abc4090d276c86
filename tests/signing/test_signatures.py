"""Signatures: ours verify, and what is wrong with another is said."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.support.desk import Desk
from tests.support.keygen import line
from tests.support.signers import certificate, ed25519_key, ed25519_token, sshsig

from fidokit.client.credentials import signature as token_sign
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    MalformedFile,
    MalformedKey,
    PassphraseRequired,
    SignatureInvalid,
    TokenMisbehaved,
    TokenNotFound,
    UsageError,
    WouldOverwrite,
)
from fidokit.files.keyfile import PIECE
from fidokit.keys import holder
from fidokit.keys.generation import GeneratedKey, GenerateRequest, generate_key
from fidokit.openssh.certificates.krl import ExplicitKey, KeyId
from fidokit.openssh.certificates.krl_encoding import encode_krl
from fidokit.openssh.keys.private import PrivateFile
from fidokit.openssh.signatures.signature import SkEd25519Signature
from fidokit.signing import signatures
from fidokit.signing.signers import SessionSigner
from fidokit.tokens import access
from fidokit.types import Application, KeyHandle, KeyType

pytestmark = pytest.mark.usefixtures("home")

MESSAGE = b"what is signed"


def _names(file: PrivateFile) -> tuple[KeyHandle, Application]:
    return file.key.key_handle, file.key.public.application


@pytest.fixture(params=list(KeyType))
def made(desk: Desk, folder: Path, request: pytest.FixtureRequest) -> GeneratedKey:
    with desk.open() as session:
        return generate_key(session, GenerateRequest(request.param, folder / "key"))


@pytest.fixture
def signature(desk: Desk, made: GeneratedKey) -> str:
    with desk.open() as session:
        return signatures.sign_message(
            SessionSigner(session, holder.open_key_file(made.path)), MESSAGE
        )


@pytest.fixture
def signers(folder: Path, made: GeneratedKey) -> Path:
    path = folder / "allowed_signers"
    path.write_text(f'# comment\nalice@example.org namespaces="file" {made.public_line}\n')
    return path


def test_sign_and_verify(made: GeneratedKey, signature: str) -> None:
    for key in (made.public_path, made.path):
        good = signatures.verify_signature(MESSAGE, signature, public_key=key)
        assert (good.fingerprint, good.namespace) == (made.fingerprint, "file")
        assert (good.touched, good.verified, good.principal) == (True, False, "")
        assert good.counter is not None


def test_files(desk: Desk, made: GeneratedKey, folder: Path) -> None:
    file = folder / "document"
    file.write_bytes(b"x" * (PIECE + 1))
    with desk.open() as session:
        key = holder.open_key_file(made.path)
        target = signatures.sign_file(
            SessionSigner(session, key), file, hash_name="sha256", namespace="git"
        )
        assert target == folder / "document.sig"
        touches = len(desk.person.touches)
        with pytest.raises(WouldOverwrite):
            signatures.sign_file(SessionSigner(session, key), file)
        assert len(desk.person.touches) == touches
        signatures.sign_file(
            SessionSigner(session, key), file, hash_name="sha256", namespace="git", force=True
        )
    assert signatures.verify_signature(
        file, target, public_key=made.public_path, namespace="git"
    ).touched
    file.write_bytes(b"x")
    with pytest.raises(SignatureInvalid):
        signatures.verify_signature(file, target, public_key=made.public_path, namespace="git")


def test_a_changed_message(made: GeneratedKey, signature: str) -> None:
    with pytest.raises(SignatureInvalid):
        signatures.verify_signature(MESSAGE + b"!", signature, public_key=made.public_path)


def test_another_namespace(made: GeneratedKey, signature: str) -> None:
    with pytest.raises(SignatureInvalid, match="namespace"):
        signatures.verify_signature(
            MESSAGE, signature, public_key=made.public_path, namespace="git"
        )


def test_another_key(desk: Desk, signature: str, folder: Path) -> None:
    with desk.open() as session:
        other = generate_key(session, GenerateRequest(KeyType.ECDSA_SK, folder / "other"))
    with pytest.raises(SignatureInvalid, match="by another key"):
        signatures.verify_signature(MESSAGE, signature, public_key=other.public_path)


def test_allowed_signers(signature: str, signers: Path) -> None:
    found = signatures.verify_signature(MESSAGE, signature, allowed_signers=signers)
    assert found.principal == "alice@example.org"
    known = signatures.verify_signature(
        MESSAGE, signature.encode(), allowed_signers=signers, principal="alice@example.org"
    )
    assert known == found
    with pytest.raises(SignatureInvalid, match="mallory"):
        signatures.verify_signature(
            MESSAGE, signature, allowed_signers=signers, principal="mallory"
        )


def test_strangers(signature: str, signers: Path) -> None:
    signers.write_text("")
    with pytest.raises(SignatureInvalid, match="does not know its key"):
        signatures.verify_signature(MESSAGE, signature, allowed_signers=signers)


def test_validity_is_judged_at_a_time(made: GeneratedKey, signature: str, signers: Path) -> None:
    signers.write_text(f'alice valid-before="20250101Z" {made.public_line}\n')
    with pytest.raises(SignatureInvalid):
        signatures.verify_signature(MESSAGE, signature, allowed_signers=signers)
    assert signatures.verify_signature(
        MESSAGE, signature, allowed_signers=signers, at=1_700_000_000
    )


def test_namespaces_of_allowed_signers(desk: Desk, made: GeneratedKey, signers: Path) -> None:
    with desk.open() as session:
        other = signatures.sign_message(
            SessionSigner(session, holder.open_key_file(made.path)), MESSAGE, namespace="git"
        )
    with pytest.raises(SignatureInvalid, match="git"):
        signatures.verify_signature(MESSAGE, other, allowed_signers=signers, namespace="git")


def test_exactly_one_way_to_verify(made: GeneratedKey, signature: str, signers: Path) -> None:
    with pytest.raises(UsageError):
        signatures.verify_signature(MESSAGE, signature)
    with pytest.raises(UsageError):
        signatures.verify_signature(
            MESSAGE, signature, public_key=made.public_path, allowed_signers=signers
        )


@pytest.mark.parametrize("text", ["", "junk", "-----BEGIN SSH SIGNATURE-----\nAAAA\n"])
def test_rubbish_is_no_signature(made: GeneratedKey, text: str) -> None:
    with pytest.raises(MalformedKey):
        signatures.verify_signature(MESSAGE, text, public_key=made.public_path)


def test_an_empty_namespace_or_unknown_hash(desk: Desk, made: GeneratedKey) -> None:
    key = holder.open_key_file(made.path)
    with desk.open() as session:
        with pytest.raises(UsageError):
            signatures.sign_message(SessionSigner(session, key), MESSAGE, namespace="")
        with pytest.raises(UsageError):
            signatures.sign_message(SessionSigner(session, key), MESSAGE, hash_name="md5")
    assert desk.person.touches == ["making the key"]


def test_a_passphrase_is_asked_once(desk: Desk, folder: Path) -> None:
    with desk.open() as session:
        generate_key(
            session,
            GenerateRequest(KeyType.ED25519_SK, folder / "locked", rounds=1),
            passphrase=lambda path: b"secret",
        )
    with pytest.raises(PassphraseRequired):
        holder.open_key_file(folder / "locked")
    words = [b"secret"]
    key = holder.open_key_file(folder / "locked", passphrase=lambda _: words.pop())
    with desk.open() as session:
        signatures.sign_message(SessionSigner(session, key), MESSAGE)


def test_a_token_that_signs_rubbish_is_found_out(
    desk: Desk, made: GeneratedKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rubbish(*args: object) -> SkEd25519Signature:
        return SkEd25519Signature(bytes(64), 1, 1)

    monkeypatch.setattr(token_sign, "sign", rubbish)
    with desk.open() as session, pytest.raises(TokenMisbehaved, match="does not verify"):
        signatures.sign_message(SessionSigner(session, holder.open_key_file(made.path)), MESSAGE)


def test_the_token_with_the_key_is_found_silently(desk: Desk, made: GeneratedKey) -> None:
    desk.plug("AAA")
    desk.plug("ZZZ")
    touches = len(desk.person.touches)
    key = holder.open_key_file(made.path)
    with access.token_holding(*_names(key), desk.person, backends=[desk]) as session:
        assert session.selector == "usb:ONE"
        assert len(desk.person.touches) == touches
        signatures.sign_message(SessionSigner(session, key), MESSAGE)


def test_the_selector_wins(desk: Desk, made: GeneratedKey) -> None:
    desk.plug("AAA")
    key = holder.open_key_file(made.path)
    with access.token_holding(
        *_names(key), desk.person, selector="usb:AAA", backends=[desk]
    ) as session:
        assert session.selector == "usb:AAA"
        with pytest.raises(CredentialNotFound):
            signatures.sign_message(SessionSigner(session, key), MESSAGE)


def test_no_token_at_all(made: GeneratedKey) -> None:
    key = holder.open_key_file(made.path)
    with (
        pytest.raises(TokenNotFound),
        access.token_holding(*_names(key), backends=[Desk()]),
    ):
        pytest.fail("there is no token")


SIGNED = b"what is signed"
TOKEN, CA = ed25519_token(), ed25519_key(99)
SIGNATURE = sshsig(TOKEN.public, TOKEN.sign, SIGNED).armor()
CERTIFIED = certificate(TOKEN.public, CA, key_id="an id")
BY_CERTIFICATE = sshsig(CERTIFIED, TOKEN.sign, SIGNED).armor()
LATER = 2_000_000_000


@pytest.fixture
def allowed(folder: Path) -> Path:
    path = folder / "allowed_signers"
    path.write_bytes(
        line(TOKEN.public, 'alice,al* valid-before="20250101Z"')
        + line(TOKEN.public, 'bob namespaces="git"')
        + line(CA.public, "* cert-authority")
    )
    return path


@pytest.fixture
def revoked(folder: Path) -> Path:
    return folder / "revoked"


@pytest.mark.parametrize(
    "data",
    [line(TOKEN.public, "").lstrip(), encode_krl([ExplicitKey(TOKEN.public.blob())])],
    ids=["keys", "krl"],
)
def test_revoked_keys(folder: Path, revoked: Path, data: bytes) -> None:
    (folder / "key.pub").write_bytes(line(TOKEN.public, "").lstrip())
    revoked.write_bytes(data)
    with pytest.raises(SignatureInvalid, match="revoked"):
        signatures.verify_signature(
            SIGNED, SIGNATURE, public_key=folder / "key.pub", revoked_keys=revoked
        )
    revoked.write_bytes(b"")
    assert signatures.verify_signature(
        SIGNED, SIGNATURE, public_key=folder / "key.pub", revoked_keys=revoked
    )


@pytest.mark.parametrize(
    "data", [line(CA.public, "").lstrip(), encode_krl([KeyId(CA.public.blob(), b"an id")])]
)
def test_revoked_certificates(allowed: Path, revoked: Path, data: bytes) -> None:
    revoked.write_bytes(data)
    good = signatures.verify_signature(
        SIGNED, BY_CERTIFICATE, allowed_signers=allowed, principal="alice"
    )
    assert (good.type_label, good.principal) == ("ED25519-SK-CERT", "alice")
    with pytest.raises(SignatureInvalid, match="revoked"):
        signatures.verify_signature(
            SIGNED, BY_CERTIFICATE, allowed_signers=allowed, revoked_keys=revoked
        )


def test_revoked_keys_that_cannot_be_read(allowed: Path, revoked: Path) -> None:
    with pytest.raises(FidokitError, match="does not exist"):
        signatures.verify_signature(
            SIGNED, SIGNATURE, allowed_signers=allowed, revoked_keys=revoked
        )
    revoked.write_bytes(b"junk\n")
    with pytest.raises(MalformedFile):
        signatures.verify_signature(
            SIGNED, SIGNATURE, allowed_signers=allowed, revoked_keys=revoked
        )


def test_a_stream(folder: Path) -> None:
    assert signatures.check_signature(io.BytesIO(SIGNED), SIGNATURE).touched
    with pytest.raises(SignatureInvalid):
        signatures.check_signature(io.BytesIO(SIGNED + b"x"), SIGNATURE)
    (folder / "message").write_bytes(SIGNED)
    (folder / "message.sig").write_bytes(SIGNATURE)
    assert signatures.check_signature(folder / "message", folder / "message.sig").key_line


def test_check_looks_at_the_namespace() -> None:
    with pytest.raises(SignatureInvalid, match="namespace"):
        signatures.check_signature(SIGNED, SIGNATURE, namespace="git")


def test_find_principals(allowed: Path) -> None:
    assert signatures.find_principals(SIGNATURE, allowed, at=1_700_000_000) == ("alice", "al*")
    assert signatures.find_principals(SIGNATURE, allowed, at=LATER) == ("bob",)
    assert signatures.find_principals(BY_CERTIFICATE, allowed, at=LATER) == ("alice",)
    other = sshsig(CA.public, CA.sign, SIGNED).armor()
    assert signatures.find_principals(other, allowed) == ()


def test_match_principals(allowed: Path) -> None:
    assert signatures.match_principals(allowed, "alice") == ("alice,al*", "*")
    allowed.write_text("alice junk\n")
    with pytest.raises(MalformedFile):
        signatures.match_principals(allowed, "alice")


@pytest.mark.parametrize(
    ("text", "moment"), [("20200101Z", 1577836800), ("202001010000Z", 1577836800)]
)
def test_verify_time(text: str, moment: int) -> None:
    assert signatures.verify_time(text) == moment


@pytest.mark.parametrize("text", ["", "now", "19700101Z", "2020", "20200101x"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        signatures.verify_time(text)
