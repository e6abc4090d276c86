"""Verifying: revoked keys, streams, who may sign; `test_signing` has the rest beside signing."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from tests.support.keygen import line
from tests.support.krl_writer import encode_krl
from tests.support.signers import certificate, ed25519_key, ed25519_token, sshsig

from fidokit.errors import FidokitError, MalformedFile, SignatureInvalid, UsageError
from fidokit.openssh.certificates.krl import ExplicitKey, KeyId
from fidokit.signing import verification

pytestmark = pytest.mark.usefixtures("home")

MESSAGE = b"what is signed"
TOKEN, CA = ed25519_token(), ed25519_key(99)
SIGNATURE = sshsig(TOKEN.public, TOKEN.sign, MESSAGE).armor()
CERTIFIED = certificate(TOKEN.public, CA, key_id="an id")
BY_CERTIFICATE = sshsig(CERTIFIED, TOKEN.sign, MESSAGE).armor()
LATER = 2_000_000_000


@pytest.fixture
def signers(folder: Path) -> Path:
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
        verification.verify(MESSAGE, SIGNATURE, public_key=folder / "key.pub", revoked_keys=revoked)
    revoked.write_bytes(b"")
    assert verification.verify(
        MESSAGE, SIGNATURE, public_key=folder / "key.pub", revoked_keys=revoked
    )


@pytest.mark.parametrize(
    "data", [line(CA.public, "").lstrip(), encode_krl([KeyId(CA.public.blob(), b"an id")])]
)
def test_revoked_certificates(signers: Path, revoked: Path, data: bytes) -> None:
    revoked.write_bytes(data)
    good = verification.verify(MESSAGE, BY_CERTIFICATE, allowed_signers=signers, principal="alice")
    assert (good.type_label, good.principal) == ("ED25519-SK-CERT", "alice")
    with pytest.raises(SignatureInvalid, match="revoked"):
        verification.verify(MESSAGE, BY_CERTIFICATE, allowed_signers=signers, revoked_keys=revoked)


def test_revoked_keys_that_cannot_be_read(signers: Path, revoked: Path) -> None:
    with pytest.raises(FidokitError, match="does not exist"):
        verification.verify(MESSAGE, SIGNATURE, allowed_signers=signers, revoked_keys=revoked)
    revoked.write_bytes(b"junk\n")
    with pytest.raises(MalformedFile):
        verification.verify(MESSAGE, SIGNATURE, allowed_signers=signers, revoked_keys=revoked)


def test_a_stream(folder: Path) -> None:
    assert verification.check(io.BytesIO(MESSAGE), SIGNATURE).touched
    with pytest.raises(SignatureInvalid):
        verification.check(io.BytesIO(MESSAGE + b"x"), SIGNATURE)
    (folder / "message").write_bytes(MESSAGE)
    (folder / "message.sig").write_bytes(SIGNATURE)
    assert verification.check(folder / "message", folder / "message.sig").key_line


def test_check_looks_at_the_namespace() -> None:
    with pytest.raises(SignatureInvalid, match="namespace"):
        verification.check(MESSAGE, SIGNATURE, namespace="git")


def test_find_principals(signers: Path) -> None:
    assert verification.find_principals(SIGNATURE, signers, at=1_700_000_000) == ("alice", "al*")
    assert verification.find_principals(SIGNATURE, signers, at=LATER) == ("bob",)
    assert verification.find_principals(BY_CERTIFICATE, signers, at=LATER) == ("alice",)
    other = sshsig(CA.public, CA.sign, MESSAGE).armor()
    assert verification.find_principals(other, signers) == ()


def test_match_principals(signers: Path) -> None:
    assert verification.match_principals(signers, "alice") == ("alice,al*", "*")
    signers.write_text("alice junk\n")
    with pytest.raises(MalformedFile):
        verification.match_principals(signers, "alice")


@pytest.mark.parametrize(
    ("text", "moment"), [("20200101Z", 1577836800), ("202001010000Z", 1577836800)]
)
def test_verify_time(text: str, moment: int) -> None:
    assert verification.verify_time(text) == moment


@pytest.mark.parametrize("text", ["", "now", "19700101Z", "2020", "20200101x"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        verification.verify_time(text)
