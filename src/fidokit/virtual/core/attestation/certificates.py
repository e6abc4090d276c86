"""Attestation certificates: the batch's, made with the token (ATT-02), and the one that singles a
token out in enterprise attestation; and who gets that."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.types import Aaguid, CoseAlg, CtapStatus
from fidokit.virtual.core.keys.algorithms import (
    ALGORITHMS,
    PrivateKey,
    p256_from_scalar,
    p256_scalar,
)
from fidokit.virtual.core.ports import CtapRejection, DurableState, Rng
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.core.schema import Params

if TYPE_CHECKING:
    from cryptography.x509 import Name

_AAGUID_OID = "1.3.6.1.4.1.45724.1.1.4"
_DEVICE_OID = "1.3.6.1.4.1.45724.1.1.2"
_NOT_BEFORE = datetime(2024, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2054, 1, 1, tzinfo=UTC)


def make_certificate(secret: bytes, aaguid: Aaguid, rng: Rng, device: bytes | None = None) -> bytes:
    """A self-signed X.509 version 3 leaf, DER.

    The dates are fixed: a seeded token has the same certificate every day.

    Args:
        secret: the batch key's P-256 scalar, 32 bytes.
        aaguid: named in the extension of WebAuthn section 8.2.1, which is not critical.
        rng: for the certificate's serial number.
        device: the token's own serial, for enterprise attestation alone (WebAuthn section
            8.2.1.2): it stands in an extension that is not critical.
    """
    # X.509 takes 25 ms to import, which a token that was made before has no use for.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

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
    if device is not None:
        serial = x509.UnrecognizedExtension(
            x509.ObjectIdentifier(_DEVICE_OID), b"\x04" + bytes([len(device)]) + device
        )
        builder = builder.add_extension(serial, critical=False)
    certificate = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
    return certificate.public_bytes(serialization.Encoding.DER)


def _name() -> Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    names = [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "fidokit"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
        x509.NameAttribute(NameOID.COMMON_NAME, "fidokit virtual authenticator"),
    ]
    return x509.Name(names)


ENTERPRISE_MEMBER: Final = "enterpriseAttestation"
_VENDOR_FACILITATED: Final = 1
_PLATFORM_MANAGED: Final = 2
_SERIAL_LENGTH: Final = 8


def enterprise_wanted(profile: Profile, state: DurableState, params: Params, rp_id: str) -> bool:
    """Whether a request gets enterprise attestation (CTAP 2.3 section 7.1; ATT-07..09).

    Args:
        profile: whose list of RP ids decides where the vendor does.
        state: whether the owner switched it on.
        params: with or without the member.
        rp_id: of the request.

    Raises:
        CtapRejection: INVALID_PARAMETER while it is off, INVALID_OPTION for another number.
    """
    if ENTERPRISE_MEMBER not in params:
        return False
    if not state.enterprise_attestation:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    kind: int = params[ENTERPRISE_MEMBER]
    if kind not in (_VENDOR_FACILITATED, _PLATFORM_MANAGED):
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    return kind == _PLATFORM_MANAGED or rp_id in profile.enterprise_rp_ids


class EnterpriseIdentity(NamedTuple):
    """What singles a token out.

    Args:
        key: its own, not the batch's: ordinary attestations say nothing of it.
        certificate: DER of a leaf that has the token's serial.
    """

    key: PrivateKey
    certificate: bytes


def enterprise_identity(state: DurableState) -> EnterpriseIdentity:
    """The token's identity; it follows from what no reset changes, so none changes it."""
    derived = _DerivedRng(state.attestation_key)
    serial = derived.bytes(_SERIAL_LENGTH)
    secret = p256_scalar(derived)
    certificate = make_certificate(secret, state.aaguid, derived, serial)
    return EnterpriseIdentity(ALGORITHMS[CoseAlg.ES256].load(secret), certificate)


class _DerivedRng:
    """Bytes that follow from a key, so that they are the same each time."""

    repeatable: Final = True

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._drawn = 0

    def bytes(self, count: int) -> bytes:
        """At most 32 bytes; see `ports.Rng`."""
        self._drawn += 1
        label = b"enterprise identity" + self._drawn.to_bytes(4)
        return hmac.digest(self._key, label, "sha256")[:count]
