"""What stock ssh-keygen made once: signatures and certificates kept in tests/vectors/signatures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.signers import ecdsa_token, ed25519_token

from fidokit.errors import SignatureInvalid
from fidokit.openssh.certificates.certificate import (
    Certificate,
    CertKind,
    describe,
    refusal,
    verify_signature,
)
from fidokit.openssh.keys.public import parse_public_line
from fidokit.openssh.lines.key_text import read_key
from fidokit.openssh.signatures.sshsig import parse_armor, verify

VECTORS = Path(__file__).parents[2] / "vectors" / "signatures"
MESSAGE = (VECTORS / "message").read_bytes()
SIGNATURES = sorted(VECTORS.glob("*.sig"))
CERTIFICATES = sorted(VECTORS.glob("*-cert.pub"))


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_the_vectors_are_all_there() -> None:
    assert (len(SIGNATURES), len(CERTIFICATES)) == (10, 10)


@pytest.mark.parametrize("path", SIGNATURES, ids=lambda path: path.stem)
def test_signatures(path: Path) -> None:
    key, hash_alg = path.stem.split(".")
    text = path.read_bytes()
    signature = parse_armor(text)
    assert signature.armor() == text
    assert (signature.hash_alg, signature.namespace) == (hash_alg, "file")
    assert signature.public == parse_public_line((VECTORS / f"{key}.pub").read_text()).key
    verify(signature, MESSAGE, "file")
    with pytest.raises(SignatureInvalid):
        verify(signature, MESSAGE[1:], "file")


def loaded(path: Path) -> Certificate:
    sample, _ = read_key(path.read_bytes().rstrip(b"\n"))
    assert isinstance(sample, Certificate)
    return sample


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: path.stem)
def test_certificates(path: Path) -> None:
    subject, authority = path.name.removesuffix("-cert.pub").split(".")
    sample = loaded(path)
    token = ed25519_token() if subject == "ed25519-sk" else ecdsa_token()
    assert sample.public == token.public
    assert sample.signature_key == parse_public_line((VECTORS / f"{authority}.pub").read_text()).key
    assert (sample.serial, sample.key_id) == (7, f"{subject} by {authority}")
    assert (sample.valid_after, sample.valid_before) == (1577836800, 1893456000)
    verify_signature(sample)
    assert refusal(sample, kind=CertKind.USER, at=1_700_000_000, principal="alice") is None


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: path.stem)
def test_certificates_are_described_as_ssh_keygen_shows_them(path: Path) -> None:
    shown = path.with_name(path.name.replace("-cert.pub", ".shown")).read_text()
    facts = describe(loaded(path))
    rows = {row.strip() for row in shown.splitlines()}
    assert {
        f"Type: {facts.type_name} {facts.kind} certificate",
        f"Public key: {facts.key}",
        f"Signing CA: {facts.authority} (using {facts.signature_type})",
        f'Key ID: "{facts.key_id}"',
        f"Serial: {facts.serial}",
        f"Valid: {facts.valid}",
        *facts.principals,
        *facts.critical_options,
        *facts.extensions,
    } <= rows


@pytest.mark.parametrize("path", CERTIFICATES, ids=lambda path: path.stem)
def test_certificates_are_written_again_byte_for_byte(path: Path) -> None:
    import base64

    blob = base64.b64decode(path.read_bytes().split()[1])
    assert loaded(path).blob() == blob
