from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from tests.client.conftest import Opened
from tests.client.credentials.test_u2f import Key, certificate_of

from fidokit.client.answer import Answer
from fidokit.client.credentials.attested import Statement, verify
from fidokit.client.credentials.enrollment import Enrollment, enroll
from fidokit.errors import TokenMisbehaved
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.types import Application, KeyHandle, KeyType

SSH = Application("ssh:")
AUTH_DATA = b"authenticator data".ljust(60, b".")
DIGEST = hashlib.sha256(b"challenge").digest()
HANDLE = KeyHandle(b"handle")


def ed_key() -> tuple[ed25519.Ed25519PrivateKey, SkEd25519Public]:
    private = ed25519.Ed25519PrivateKey.generate()
    raw = private.public_key().public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    return private, SkEd25519Public(raw, SSH)


def ec_key() -> tuple[Key, SkEcdsaPublic]:
    key = Key()
    return key, SkEcdsaPublic(key.point, SSH)


def test_self_attestation_ed25519() -> None:
    private, public = ed_key()
    good = Statement("packed", AUTH_DATA, -8, private.sign(AUTH_DATA + DIGEST), b"")
    verify(good, public, HANDLE, DIGEST)
    with pytest.raises(TokenMisbehaved):
        verify(good, public, HANDLE, bytes(32))


def test_self_attestation_ecdsa() -> None:
    key, public = ec_key()
    good = Statement("packed", AUTH_DATA, -7, key.sign(AUTH_DATA + DIGEST), b"")
    verify(good, public, HANDLE, DIGEST)
    for bad in (b"x", b"\x30\x06\x02\x01\x01\x02\x01\x01", key.sign(b"other")):
        with pytest.raises(TokenMisbehaved):
            verify(Statement("packed", AUTH_DATA, -7, bad, b""), public, HANDLE, DIGEST)


def test_a_certificate_of_a_version_that_is_none_proves_nothing_either_way() -> None:
    batch, public = ec_key()
    leaf = certificate_of(batch)
    at = leaf.index(b"\xa0\x03\x02\x01\x02") + 4  # [0] { INTEGER 2 }, which is version 3
    strange = leaf[:at] + b"\x1f" + leaf[at + 1 :]
    statement = Statement("packed", AUTH_DATA, -7, batch.sign(AUTH_DATA + DIGEST), strange)
    verify(statement, public, HANDLE, DIGEST)


def test_by_certificate() -> None:
    batch, (_, public) = Key(), ec_key()
    leaf = certificate_of(batch)
    verify(
        Statement("packed", AUTH_DATA, -7, batch.sign(AUTH_DATA + DIGEST), leaf),
        public, HANDLE, DIGEST,
    )  # fmt: skip
    with pytest.raises(TokenMisbehaved, match="does not verify"):
        verify(
            Statement("packed", AUTH_DATA, -7, batch.sign(AUTH_DATA), leaf), public, HANDLE, DIGEST
        )


def test_a_certificate_of_another_curve_is_not_judged() -> None:
    import datetime

    from cryptography import x509

    private = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    leaf = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(private.public_key()).serial_number(1)
        .not_valid_before(day).not_valid_after(day.replace(year=2036))
        .sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    )  # fmt: skip
    verify(Statement("packed", AUTH_DATA, -35, b"anything", leaf), ec_key()[1], HANDLE, DIGEST)


@pytest.mark.parametrize("form", ["packed", "fido-u2f"])
def test_a_missing_signature(form: str) -> None:
    with pytest.raises(TokenMisbehaved, match="no signature"):
        verify(Statement(form, AUTH_DATA, None, b"", b""), ec_key()[1], HANDLE, DIGEST)


@pytest.mark.parametrize("form", ["none", "tpm", "android-key"])
def test_other_formats_pass(form: str) -> None:
    verify(Statement(form, AUTH_DATA, None, b"", b""), ec_key()[1], HANDLE, DIGEST)


def test_reading() -> None:
    read = Statement.read(
        Answer(
            {1: "packed", 2: AUTH_DATA, 3: {"alg": -7, "sig": b"s", "x5c": [b"leaf", b"ca"]}},
            "new credential",
        )
    )
    assert read == Statement("packed", AUTH_DATA, -7, b"s", b"leaf")
    assert read.as_openssh().auth_data == AUTH_DATA
    bare = Statement.read(Answer({1: "none", 2: AUTH_DATA, 3: {}}, "new credential"))
    assert bare == Statement("none", AUTH_DATA, None, b"", b"")
    assert bare.as_openssh().leaf_der == b""


@pytest.mark.parametrize(
    "members",
    [
        {1: 1}, {1: "x" * 65}, {2: None}, {2: "text"}, {2: bytes(5000)}, {3: []},
        {3: {"alg": "ES256"}}, {3: {"sig": "text"}}, {3: {"x5c": b"leaf"}},
        {3: {"x5c": ["leaf"]}}, {3: {"x5c": [bytes(5000)]}}, {3: {"sig": bytes(5000)}},
    ],
)  # fmt: skip
def test_wrong_members(members: dict[int, object]) -> None:
    whole = {1: "packed", 2: AUTH_DATA, 3: {}, **members}
    with pytest.raises(TokenMisbehaved):
        Statement.read(Answer({k: v for k, v in whole.items() if v is not None}, "new credential"))


@pytest.mark.parametrize("key_type", KeyType)
def test_the_virtual_tokens_attestation_verifies(opened: Opened, key_type: KeyType) -> None:
    made = enroll(opened(), Enrollment(key_type, SSH, challenge=b"challenge"))
    statement = Statement(
        "packed", made.attestation.auth_data or b"", -7, made.attestation.signature,
        made.attestation.leaf_der,
    )  # fmt: skip
    verify(statement, made.public, made.key_handle, DIGEST)
    with pytest.raises(TokenMisbehaved):
        verify(statement, made.public, made.key_handle, bytes(32))
