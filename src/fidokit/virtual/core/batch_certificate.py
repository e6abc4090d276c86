"""The attestation certificate of a token's batch, made once when the token is made (ATT-02)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fidokit.types import Aaguid
from fidokit.virtual.core.ports import Rng
from fidokit.virtual.core.private_keys import p256_from_scalar

if TYPE_CHECKING:
    from cryptography.x509 import Name

_AAGUID_OID = "1.3.6.1.4.1.45724.1.1.4"
_NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2054, 1, 1, tzinfo=UTC)


def make(secret: bytes, aaguid: Aaguid, rng: Rng) -> bytes:
    """A self-signed X.509 version 3 leaf, DER.

    The dates are fixed: a seeded token has the same certificate every day.

    Args:
        secret: the batch key's P-256 scalar, 32 bytes.
        aaguid: named in the extension of WebAuthn section 8.2.1, which is not critical.
        rng: for the serial number.
    """
    # X.509 takes 25 ms to import, which a token that was made before has no use for.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415

    key, name = p256_from_scalar(secret), _name()
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
    certificate = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return certificate.public_bytes(serialization.Encoding.DER)


def _name() -> Name:
    from cryptography import x509  # noqa: PLC0415  as above
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "XX"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "fidokit"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
            x509.NameAttribute(NameOID.COMMON_NAME, "fidokit virtual authenticator"),
        ]
    )
