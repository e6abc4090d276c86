"""Attestations that were stored when a key was made: what they say, and whether it is true.

OpenSSH keeps the leaf certificate, the signature and (from v01 on) the authenticator data, but not
the format's name, the challenge, nor the certificates above the leaf (PROTOCOL.u2f).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from fidokit.client.credentials import attested
from fidokit.client.credentials.attestation_leaf import Leaf
from fidokit.client.credentials.auth_data import AuthData, Flag, parse_auth_data, sk_public
from fidokit.errors import MalformedKey, SignatureInvalid, TokenMisbehaved, Unsupported
from fidokit.openssh.keys.public import SkPublic
from fidokit.types import Aaguid, KeyHandle

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from fidokit.openssh.signatures.attestation import Attestation

AAGUID_OID: Final = "1.3.6.1.4.1.45724.1.1.4"
"""id-fido-gen-ce-aaguid (WebAuthn section 8.2.1)."""
FORMATS: Final = ("packed", "fido-u2f")
"""Tried in this order, for the name is not stored."""


def read_auth_data(attestation: Attestation) -> AuthData:
    """The authenticator data.

    Raises:
        Unsupported: none is stored (v00).
        MalformedKey: it is damaged.
    """
    raw = attestation.auth_data
    if raw is None:
        raise Unsupported(
            "an attestation of version 00 does not hold what was signed",
            hint="make the key again with OpenSSH 8.5 or later, or with fidokit",
        )
    try:
        return parse_auth_data(raw)
    except TokenMisbehaved as error:
        raise MalformedKey(_about_the_file(error)) from None


def _about_the_file(error: TokenMisbehaved) -> str:
    return error.message.replace("the token answered rubbish", "attestation")


def aaguid_of(data: AuthData) -> Aaguid | None:
    """The model that the authenticator data names; None for U2F's zeros."""
    named = Aaguid(data.raw[37:53])
    return named if data.flags & Flag.ATTESTED and any(named) else None


def verify(
    attestation: Attestation, public: SkPublic, handle: KeyHandle | None, challenge: bytes
) -> str:
    """Check that a token made this key for this challenge; returns the attestation's format.

    Args:
        public: the key that it is to be about.
        handle: the same from its private file, where that is at hand.
        challenge: what `ssh-keygen -O challenge=` was given; of any length.

    Raises:
        SignatureInvalid: it is about another key, or its signature is not over this challenge.
        Unsupported: version 00, or a certificate whose kind cannot be checked here.
        MalformedKey: it is damaged.
    """
    data = read_auth_data(attestation)
    _require_about(data, public, handle)
    digest = hashlib.sha256(challenge).digest()
    if attestation.leaf_der:
        _require_checkable(attestation.leaf_der)
    for name in FORMATS[: None if attestation.leaf_der else 1]:  # U2F always has a certificate
        statement = attested.Statement(
            name, data.raw, None, attestation.signature, attestation.leaf_der
        )
        try:
            attested.verify(statement, public, KeyHandle(data.credential_id or b""), digest)
        except TokenMisbehaved:
            continue
        return name
    raise SignatureInvalid(
        "the attestation's signature is not over this challenge and this key",
        hint="give the very challenge that the key was made with",
    )


def _require_about(data: AuthData, public: SkPublic, handle: KeyHandle | None) -> None:
    if data.rp_id_hash != hashlib.sha256(public.application.encode()).digest():
        raise SignatureInvalid(f"the attestation is not about {public.application!r}")
    try:
        made = sk_public(data.cose_key, public.application) if data.cose_key else None
    except TokenMisbehaved as error:
        raise MalformedKey(_about_the_file(error)) from None
    if made != public:
        raise SignatureInvalid("the attestation is about another key")
    if handle is not None and bytes(data.credential_id or b"") != handle:
        raise SignatureInvalid("the attestation is about another key handle")


# --- certificates ------------------------------------------------------------------------------


def _certificate(der: bytes) -> Certificate:
    from cryptography import x509

    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise MalformedKey("the attestation's certificate cannot be read") from None


def _require_checkable(der: bytes) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    key = _certificate(der).public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.key_size != 256:
        raise Unsupported("the attestation's certificate holds a key of a kind not known here")


def read_leaf(der: bytes) -> Leaf:
    """What a leaf certificate says.

    Raises:
        MalformedKey: it is no certificate.
    """
    from cryptography import x509

    found = _certificate(der)
    try:
        identifier = x509.SubjectKeyIdentifier.from_public_key(found.public_key())
        return Leaf(
            subject=found.subject.rfc4514_string(),
            issuer=found.issuer.rfc4514_string(),
            serial=found.serial_number,
            not_before=found.not_valid_before_utc.date().isoformat(),
            not_after=found.not_valid_after_utc.date().isoformat(),
            aaguid=_model_extension(found),
            key_identifier=identifier.digest.hex(),
        )
    except ValueError:
        raise MalformedKey("the attestation's certificate cannot be read") from None


def _model_extension(found: Certificate) -> Aaguid | None:
    """The 16 bytes, which are an OCTET STRING within the extension's own."""
    from cryptography import x509

    try:
        value = found.extensions.get_extension_for_oid(x509.ObjectIdentifier(AAGUID_OID)).value
    except x509.ExtensionNotFound:
        return None
    raw = value.public_bytes() if isinstance(value, x509.UnrecognizedExtension) else b""
    return Aaguid(raw[2:]) if raw[:2] == b"\x04\x10" and len(raw) == 18 else None


def leads_to(der: bytes, roots: Iterable[bytes]) -> bool:
    """Whether a leaf is one of these certificates, or was issued by one of them directly.

    Certificates in between are not stored, so that a longer chain cannot be followed.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    leaf = _certificate(der)
    for root in roots:
        if root == der:
            return True
        try:
            leaf.verify_directly_issued_by(x509.load_der_x509_certificate(root))
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False
