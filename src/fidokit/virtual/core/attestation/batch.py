"""Attestation certificates: the batch's, made with the token (ATT-02), and a token's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fidokit.types import Aaguid
from fidokit.virtual.core.keys.private import p256_from_scalar
from fidokit.virtual.core.ports import Rng

if TYPE_CHECKING:
    from cryptography.x509 import Name

_AAGUID_OID = "1.3.6.1.4.1.45724.1.1.4"
_DEVICE_OID = "1.3.6.1.4.1.45724.1.1.2"
_NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2054, 1, 1, tzinfo=UTC)


def make(secret: bytes, aaguid: Aaguid, rng: Rng, device: bytes | None = None) -> bytes:
    """A self-signed X.509 version 3 leaf, DER.

    The dates are fixed: a seeded token has the same certificate every day.

    Args:
        secret: the batch key's P-256 scalar, 32 bytes.
        aaguid: named in the extension of WebAuthn section 8.2.1, which is not critical.
        rng: for the certificate's serial number.
        device: the token's own serial, for enterprise attestation alone (WebAuthn section
            8.2.1.2): it stands in the subject and in an extension that is not critical.
    """
    # X.509 takes 25 ms to import, which a token that was made before has no use for.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    key, name = p256_from_scalar(secret), _name(device)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(b"\x01" + rng.bytes(8), "big"))
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier(_AAGUID_OID), b"\x04\x10" + aaguid),
            critical=False,
        )
    )
    if device is not None:
        serial = x509.UnrecognizedExtension(
            x509.ObjectIdentifier(_DEVICE_OID), b"\x04" + bytes([len(device)]) + device
        )
        builder = builder.add_extension(serial, critical=False)
    certificate = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return certificate.public_bytes(serialization.Encoding.DER)


def _name(device: bytes | None) -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    names = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "fidokit"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
        x509.NameAttribute(NameOID.COMMON_NAME, "fidokit virtual authenticator"),
    ]
    if device is not None:
        names.append(x509.NameAttribute(NameOID.SERIAL_NUMBER, device.hex().upper()))
    return x509.Name(names)
