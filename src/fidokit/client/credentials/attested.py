"""Attestation statements of new credentials: read, checked where they can be, kept for OpenSSH."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.client import fido2_device
from fidokit.client.answer import MISBEHAVIOR_HINT, Answer
from fidokit.errors import TokenMisbehaved
from fidokit.openssh.keys.public import SkEd25519Public
from fidokit.openssh.signatures import primitives
from fidokit.openssh.signatures.attestation import Attestation, wrap_bytes
from fidokit.openssh.signatures.signature import SkEcdsaSignature, from_assertion
from fidokit.types import CoseAlg, KeyType

if TYPE_CHECKING:
    from fidokit.client.credentials.u2f import Registration
    from fidokit.openssh.keys.public import SkPublic
    from fidokit.types import KeyHandle

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
        algorithm: COSE number of the signature, None where the format has none.
        signature: empty where the format has none.
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


def verify(
    statement: Statement, public: SkPublic, key_handle: KeyHandle, client_data_hash: bytes
) -> None:
    """Check the statement's signature where its format and its key are known here.

    This proves that the answer is whole and belongs to this request, not who made the token.
    Formats, algorithms and certificates that are not known here pass.

    Raises:
        TokenMisbehaved: the signature is there, could be checked, and does not verify.
    """
    if statement.format == "packed":
        signed = statement.auth_data + client_data_hash
    elif statement.format == "fido-u2f":
        rp_id_hash = statement.auth_data[:32]
        signed = b"\0" + rp_id_hash + client_data_hash + key_handle + public.point
    else:
        return
    if not statement.signature:
        raise _forged(f"its {statement.format} attestation holds no signature")
    if statement.leaf:
        true = _by_certificate(statement.leaf, statement.signature, signed)
    else:
        true = _by_key(public, statement.signature, signed)
    if not true:
        raise _forged("the signature of its attestation does not verify")


def _by_key(public: SkPublic, signature: bytes, signed: bytes) -> bool:
    """Whether the new key itself signed (self attestation)."""
    if isinstance(public, SkEd25519Public):
        return primitives.ed25519(public.point, signature, signed)
    parts = from_assertion(KeyType.ECDSA_SK, 0, 0, signature)
    if not isinstance(parts, SkEcdsaSignature):
        return False
    return primitives.ecdsa("nistp256", public.point, (parts.r, parts.s), signed)


def _by_certificate(leaf: bytes, signature: bytes, signed: bytes) -> bool:
    """Whether the certificate's key signed; true where its kind cannot be checked here."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        key = x509.load_der_x509_certificate(leaf).public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return True  # some early tokens carry certificates that strict parsers refuse
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size == 256:
            key.verify(signature, signed, ec.ECDSA(SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _forged(why: str) -> TokenMisbehaved:
    return TokenMisbehaved(f"the token answered rubbish: {why}", hint=MISBEHAVIOR_HINT)
