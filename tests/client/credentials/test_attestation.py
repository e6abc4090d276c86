from __future__ import annotations

import datetime
import hashlib
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from tests.client.conftest import Opened
from tests.client.credentials.test_u2f import Key, certificate_of
from tests.support.fake_link import session_on
from tests.support.mutate import fuzz_count, survive

from fidokit.client.answer import Answer
from fidokit.client.credentials.attestation import (
    Statement,
    aaguid_of,
    leads_to,
    read_auth_data,
    read_leaf,
    verify_statement,
    verify_stored,
)
from fidokit.client.credentials.enrollment import Enrolled, Enrollment, enroll
from fidokit.errors import (
    FidokitError,
    MalformedKey,
    SignatureInvalid,
    TokenMisbehaved,
    Unsupported,
)
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.openssh.signatures.attestation import Attestation, wrap_bytes
from fidokit.types import Application, KeyHandle, KeyType
from fidokit.virtual.token import VirtualToken

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
    verify_statement(good, public, HANDLE, DIGEST)
    with pytest.raises(TokenMisbehaved):
        verify_statement(good, public, HANDLE, bytes(32))


def test_self_attestation_ecdsa() -> None:
    key, public = ec_key()
    good = Statement("packed", AUTH_DATA, -7, key.sign(AUTH_DATA + DIGEST), b"")
    verify_statement(good, public, HANDLE, DIGEST)
    for bad in (b"x", b"\x30\x06\x02\x01\x01\x02\x01\x01", key.sign(b"other")):
        with pytest.raises(TokenMisbehaved):
            verify_statement(Statement("packed", AUTH_DATA, -7, bad, b""), public, HANDLE, DIGEST)


def test_a_certificate_of_a_version_that_is_none_proves_nothing_either_way() -> None:
    batch, public = ec_key()
    leaf = certificate_of(batch)
    at = leaf.index(b"\xa0\x03\x02\x01\x02") + 4  # [0] { INTEGER 2 }, which is version 3
    strange = leaf[:at] + b"\x1f" + leaf[at + 1 :]
    statement = Statement("packed", AUTH_DATA, -7, batch.sign(AUTH_DATA + DIGEST), strange)
    verify_statement(statement, public, HANDLE, DIGEST)


def test_by_certificate() -> None:
    batch, (_, public) = Key(), ec_key()
    leaf = certificate_of(batch)
    verify_statement(
        Statement("packed", AUTH_DATA, -7, batch.sign(AUTH_DATA + DIGEST), leaf),
        public, HANDLE, DIGEST,
    )  # fmt: skip
    with pytest.raises(TokenMisbehaved, match="does not verify"):
        verify_statement(
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
    verify_statement(
        Statement("packed", AUTH_DATA, -35, b"anything", leaf), ec_key()[1], HANDLE, DIGEST
    )


@pytest.mark.parametrize("form", ["packed", "fido-u2f"])
def test_a_missing_signature(form: str) -> None:
    with pytest.raises(TokenMisbehaved, match="no signature"):
        verify_statement(Statement(form, AUTH_DATA, None, b"", b""), ec_key()[1], HANDLE, DIGEST)


@pytest.mark.parametrize("form", ["none", "tpm", "android-key"])
def test_other_formats_pass(form: str) -> None:
    verify_statement(Statement(form, AUTH_DATA, None, b"", b""), ec_key()[1], HANDLE, DIGEST)


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
    verify_statement(statement, made.public, made.key_handle, DIGEST)
    with pytest.raises(TokenMisbehaved):
        verify_statement(statement, made.public, made.key_handle, bytes(32))


DER = serialization.Encoding.DER


def made(profile: str = "ctap2.3", key_type: KeyType = KeyType.ECDSA_SK) -> Enrolled:
    with VirtualToken(profile=profile) as token, session_on(token.link()) as session:
        return enroll(session, Enrollment(key_type, SSH, challenge=b"challenge"))


@pytest.fixture(scope="module")
def key() -> Enrolled:
    return made()


@pytest.mark.parametrize("key_type", KeyType)
def test_packed(key_type: KeyType) -> None:
    key = made(key_type=key_type)
    assert verify_stored(key.attestation, key.public, key.key_handle, b"challenge") == "packed"
    assert verify_stored(key.attestation, key.public, None, b"challenge") == "packed"


def test_u2f() -> None:
    key = made("u2f")
    assert verify_stored(key.attestation, key.public, key.key_handle, b"challenge") == "fido-u2f"
    assert aaguid_of(read_auth_data(key.attestation)) is None


def test_by_the_key_itself(key: Enrolled) -> None:
    """No certificate: the new key signs for itself (WebAuthn section 6.5.4)."""
    private = ec.generate_private_key(ec.SECP256R1())
    point = private.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    old = key.public.point
    raw = read_auth_data(key.attestation).raw
    raw = raw.replace(old[1:33], point[1:33]).replace(old[33:], point[33:])
    signature = private.sign(raw + hashlib.sha256(b"c").digest(), ec.ECDSA(hashes.SHA256()))
    attestation = Attestation(b"", signature, wrap_bytes(raw))
    public = replace(key.public, point=point)
    assert verify_stored(attestation, public, None, b"c") == "packed"
    with pytest.raises(SignatureInvalid, match="not over this challenge"):
        verify_stored(attestation, public, None, b"d")


def test_another_challenge(key: Enrolled) -> None:
    with pytest.raises(SignatureInvalid, match="not over this challenge") as caught:
        verify_stored(key.attestation, key.public, None, b"another")
    assert "challenge" in caught.value.hint


def test_another_key(key: Enrolled) -> None:
    with pytest.raises(SignatureInvalid, match="another key"):
        verify_stored(key.attestation, made().public, None, b"challenge")


def test_another_application(key: Enrolled) -> None:
    public = replace(key.public, application=Application("ssh:other"))
    with pytest.raises(SignatureInvalid, match="not about 'ssh:other'"):
        verify_stored(key.attestation, public, None, b"challenge")


def test_another_key_handle(key: Enrolled) -> None:
    with pytest.raises(SignatureInvalid, match="key handle"):
        verify_stored(key.attestation, key.public, KeyHandle(b"other"), b"challenge")


def test_version_00_holds_too_little(key: Enrolled) -> None:
    old = replace(key.attestation, auth_data_cbor=None)
    with pytest.raises(Unsupported, match="version 00"):
        verify_stored(old, key.public, None, b"challenge")


@pytest.mark.parametrize("at", [0, 40, 60, -1])
def test_damaged_data_does_not_verify(key: Enrolled, at: int) -> None:
    raw = bytearray(read_auth_data(key.attestation).raw)
    raw[at] ^= 1
    damaged = replace(key.attestation, auth_data_cbor=wrap_bytes(bytes(raw)))
    with pytest.raises((SignatureInvalid, MalformedKey)):
        verify_stored(damaged, key.public, key.key_handle, b"challenge")


def test_data_that_is_cut_off(key: Enrolled) -> None:
    cut = replace(key.attestation, auth_data_cbor=wrap_bytes(bytes(36)))
    with pytest.raises(MalformedKey, match="36 bytes"):
        read_auth_data(cut)


def test_fuzz_authenticator_data(key: Enrolled) -> None:
    raw = read_auth_data(key.attestation).raw

    def check(data: bytes) -> None:
        attestation = replace(key.attestation, auth_data_cbor=wrap_bytes(data))
        verify_stored(attestation, key.public, key.key_handle, b"challenge")

    count = fuzz_count(300)
    assert survive([raw], check, FidokitError, count) > count // 2


# --- certificates ------------------------------------------------------------------------------

EcOrRsa = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed448.Ed448PrivateKey


def certificate(
    private: EcOrRsa, signer: EcOrRsa | None = None, issuer: str = "Root", aaguid: bytes = b""
) -> bytes:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    builder = (
        x509.CertificateBuilder()
        .subject_name(name("Leaf" if signer else issuer))
        .issuer_name(name(issuer))
        .public_key(private.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(2024, 1, 2, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2034, 1, 2, tzinfo=datetime.UTC))
    )
    if aaguid:
        oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
        extension = x509.UnrecognizedExtension(oid, b"\x04\x10" + aaguid)
        builder = builder.add_extension(extension, critical=False)
    signing = signer or private
    digest = None if isinstance(signing, ed448.Ed448PrivateKey) else hashes.SHA256()
    return builder.sign(signing, digest).public_bytes(DER)


def test_a_leaf_leads_to_its_root_and_to_no_other() -> None:
    root, other, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    der = certificate(leaf, root)
    assert leads_to(der, [certificate(other), certificate(root)])
    assert not leads_to(der, [certificate(other)]), "the same name is not enough"
    assert not leads_to(der, [certificate(root, issuer="Somebody else"), b"junk"])
    assert leads_to(der, [der])
    assert not leads_to(der, [])


def test_what_a_leaf_says() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    leaf = read_leaf(certificate(private, private, aaguid=bytes(range(16))))
    assert (leaf.subject, leaf.issuer, leaf.serial) == ("CN=Leaf", "CN=Root", 7)
    assert (leaf.not_before, leaf.not_after) == ("2024-01-02", "2034-01-02")
    assert leaf.aaguid == bytes(range(16))
    assert read_leaf(certificate(private, private)).aaguid is None


def test_a_leaf_that_is_no_certificate() -> None:
    with pytest.raises(MalformedKey, match="certificate cannot be read"):
        read_leaf(b"junk")


def test_a_certificate_of_a_kind_that_is_not_known(key: Enrolled) -> None:
    """verify_statement lets it pass when a key is made; here that would be a false yes."""
    for private in (ed448.Ed448PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        strange = replace(key.attestation, leaf_der=certificate(private))
        with pytest.raises(Unsupported, match="kind not known"):
            verify_stored(strange, key.public, None, b"challenge")
    junk = replace(key.attestation, leaf_der=b"junk")
    with pytest.raises(MalformedKey):
        verify_stored(junk, key.public, None, b"challenge")
