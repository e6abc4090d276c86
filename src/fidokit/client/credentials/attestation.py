"""Attestation statements of new credentials: read, checked where they can be, kept for OpenSSH."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.client import fido2_device
from fidokit.client.answer import Answer, rubbish
from fidokit.client.credentials.auth_data import AuthData, Flag, parse_auth_data, sk_public
from fidokit.errors import MalformedKey, SignatureInvalid, TokenMisbehaved, Unsupported
from fidokit.openssh.keys.public import SkEd25519Public, SkPublic
from fidokit.openssh.signatures import primitives
from fidokit.openssh.signatures.attestation import Attestation, wrap_bytes
from fidokit.openssh.signatures.signature import SkEcdsaSignature, from_assertion
from fidokit.types import Aaguid, CoseAlg, KeyHandle, KeyType

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from fidokit.client.credentials.u2f import Registration
    from fidokit.openssh.keys.public import SkPublic


LONGEST_AUTH_DATA: Final = 4096
LONGEST_CERTIFICATE: Final = 4096
LONGEST_SIGNATURE: Final = 4096
PRESENT_AND_ATTESTED: Final = 0x41


@dataclass(frozen=True, slots=True)
class Statement:
    """The parts of an attestation object that OpenSSH keeps, and what is needed to check it.

    Args:
        format: packed, fido-u2f, none, or another that is kept unchecked.
        auth_data: as signed.
        algorithm: COSE number of the signature, None if the format has none.
        signature: empty if the format has none.
        leaf: the attestation certificate in DER, empty for self attestation and none.
    """

    format: str
    auth_data: bytes
    algorithm: int | None
    signature: bytes
    leaf: bytes

    @classmethod
    def read(cls, answer: Answer) -> Statement:
        """The statement in an answer to makeCredential (1 fmt, 2 authData, 3 attStmt).

        Raises:
            TokenMisbehaved: members of wrong types or impossible sizes.
        """
        members = answer.optional_map(3) or Answer({}, "attestation statement")
        chain = members.octet_lists("x5c", LONGEST_CERTIFICATE)
        return cls(
            format=answer.text(1, longest=64),
            auth_data=answer.octets(2, longest=LONGEST_AUTH_DATA),
            algorithm=members.optional_int("alg"),
            signature=members.optional_bytes("sig", LONGEST_SIGNATURE) or b"",
            leaf=chain[0] if chain else b"",
        )

    def as_openssh(self) -> Attestation:
        """What `ssh-keygen -O write-attestation` stores (ssh-sk-attest-v01)."""
        return Attestation(self.leaf, self.signature, wrap_bytes(self.auth_data))


def u2f_cose_key(point: bytes) -> Answer:
    """The COSE key of an uncompressed P-256 point, 65 bytes."""
    return Answer(_cose_members(point), "public key")


def _cose_members(point: bytes) -> dict[object, object]:
    return {1: 2, 3: int(CoseAlg.ES256), -1: 1, -2: point[1:33], -3: point[33:65]}


def from_registration(made: Registration, application: bytes) -> Statement:
    """The statement of a U2F registration, its authenticator data made up as libfido2 does.

    Args:
        application: SHA-256 of the application.
    """
    handle = made.key_handle
    credential = bytes(16) + len(handle).to_bytes(2, "big") + handle
    key = fido2_device.encode(_cose_members(made.point))
    auth_data = application + bytes([PRESENT_AND_ATTESTED]) + bytes(4) + credential + key
    return Statement("fido-u2f", auth_data, None, made.signature, made.certificate)


def verify_statement(
    statement: Statement, public: SkPublic, key_handle: KeyHandle, client_data_hash: bytes
) -> tuple[str, ...]:
    """Check the statement's signature where its format and its key are known here.

    This proves that the answer is whole and belongs to this request, not who made the token.
    Formats, algorithms and certificates that are not known here pass, and are returned: what could
    not be proved, in sentences for the user.

    Raises:
        TokenMisbehaved: the signature is there, could be checked, and does not verify.
    """
    if statement.format == "packed":
        signed = statement.auth_data + client_data_hash
    elif statement.format == "fido-u2f":
        rp_id_hash = statement.auth_data[:32]
        signed = b"\0" + rp_id_hash + client_data_hash + key_handle + public.point
    elif statement.format == "none":
        return ("the token gave no attestation: nothing proves that it made the key",)
    else:
        return (
            f"the attestation is of the format {statement.format!r}, which cannot be checked here",
        )
    if not statement.signature:
        raise rubbish(f"its {statement.format} attestation holds no signature")
    if statement.leaf:
        true = _by_certificate(statement.leaf, statement.signature, signed)
    else:
        true = _by_key(public, statement.signature, signed)
    if true is False:
        raise rubbish("the signature of its attestation does not verify")
    if true is None:
        return ("the attestation's certificate cannot be checked here",)
    return ()


def _by_key(public: SkPublic, signature: bytes, signed: bytes) -> bool:
    """Whether the new key itself signed (self attestation)."""
    if isinstance(public, SkEd25519Public):
        return primitives.ed25519(public.point, signature, signed)
    parts = from_assertion(KeyType.ECDSA_SK, 0, 0, signature)
    if not isinstance(parts, SkEcdsaSignature):
        return False
    return primitives.ecdsa("nistp256", public.point, (parts.r, parts.s), signed)


def _by_certificate(leaf: bytes, signature: bytes, signed: bytes) -> bool | None:
    """Whether the certificate's key signed; None if that cannot be checked here."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key = _loaded(leaf).public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None  # some early tokens carry certificates that strict parsers refuse
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size == 256:
            key.verify(signature, signed, ec.ECDSA(SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
        else:
            return None
    except InvalidSignature:
        return False
    return True


# --- attestations that were stored when a key was made ---------------------------------------
#
# OpenSSH keeps the leaf certificate, the signature and (from v01 on) the authenticator data, but
# not the format's name, the challenge, nor the certificates above the leaf (PROTOCOL.u2f).


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
    return error.message.replace("the token sent an invalid response", "attestation")


def aaguid_of(data: AuthData) -> Aaguid | None:
    """The model that the authenticator data names; None for U2F's zeros.

    A fido-u2f statement does not sign it (WebAuthn section 8.6): believe it of packed alone.
    """
    named = Aaguid(data.raw[37:53])
    return named if data.flags & Flag.ATTESTED and any(named) else None


def verify_stored(
    attestation: Attestation, public: SkPublic, handle: KeyHandle | None, challenge: bytes
) -> str:
    """Check that a token made this key for this challenge; returns the attestation's format.

    Args:
        public: the key that it is to be about.
        handle: the key handle in its private file, None if that is not available.
        challenge: what `ssh-keygen -O challenge=` was given; of any length.

    Raises:
        SignatureInvalid: it is about another key, or its signature is not over this challenge.
        Unsupported: version 00, or a certificate whose kind cannot be checked here.
        MalformedKey: it is damaged.
    """
    data = read_auth_data(attestation)
    _require_about(data, public, handle)
    digest = hashlib.sha256(challenge).digest()
    if not attestation.signature:
        raise SignatureInvalid(
            "the attestation holds no signature: the token gave none, and nothing is proved",
            hint="make the key again on a token that attests its keys",
        )
    if attestation.leaf_der:
        _require_checkable(attestation.leaf_der)
    for name in FORMATS[: None if attestation.leaf_der else 1]:  # U2F always has a certificate
        statement = Statement(name, data.raw, None, attestation.signature, attestation.leaf_der)
        try:
            unproved = verify_statement(
                statement, public, KeyHandle(data.credential_id or b""), digest
            )
        except TokenMisbehaved:
            continue
        if unproved:
            raise Unsupported(unproved[0])
        return name
    raise SignatureInvalid(
        "the attestation's signature is not over this challenge and this key",
        hint="give the challenge that the key was made with",
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


@contextmanager
def _quiet() -> Iterator[None]:
    """Self-made tokens have serial numbers that a library warns of: at loading, and at reading."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _loaded(der: bytes) -> Certificate:
    from cryptography import x509

    with _quiet():
        return x509.load_der_x509_certificate(der)


def _certificate(der: bytes) -> Certificate:
    try:
        return _loaded(der)
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
        MalformedKey: it is not a certificate.
    """
    from cryptography import x509

    found = _certificate(der)
    try:
        identifier = x509.SubjectKeyIdentifier.from_public_key(found.public_key())
        with _quiet():
            serial = found.serial_number
        return Leaf(
            subject=found.subject.rfc4514_string(),
            issuer=found.issuer.rfc4514_string(),
            serial=serial,
            not_before=found.not_valid_before_utc.date().isoformat(),
            not_after=found.not_valid_after_utc.date().isoformat(),
            aaguid=_model_extension(found),
            key_identifier=identifier.digest.hex(),
            issuer_identifier=_issuer_identifier(found),
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


def _issuer_identifier(found: Certificate) -> str | None:
    """The key identifier of the issuer, in hexadecimal, where the certificate has it."""
    from cryptography import x509

    try:
        value = found.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None
    return value.key_identifier.hex() if value.key_identifier else None


def leads_to(der: bytes, roots: Iterable[bytes]) -> bool:
    """Whether a leaf is one of these certificates, or was issued by one of them directly.

    Certificates in between are not stored, so that a longer chain cannot be followed.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    leaf = _certificate(der)
    for root in roots:
        if root == der:
            return True
        try:
            leaf.verify_directly_issued_by(_loaded(root))
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
        return True
    return False


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the leaf certificate says; its texts are its maker's.

    Args:
        aaguid: the model that it is good for, None if it does not say.
        key_identifier: SHA-1 of its public key, by which U2F models are known.
        issuer_identifier: the key identifier of its issuer, None if it does not say.
    """

    subject: str
    issuer: str
    serial: int
    not_before: str
    not_after: str
    aaguid: Aaguid | None
    key_identifier: str
    issuer_identifier: str | None = None
