"""Verifying signatures, and the bytes that a token signs; what else there is to signatures too.

Sources: OpenSSH PROTOCOL.u2f, WebAuthn sections 5.8.1.1 and 6.1. The wire forms are in
`signature_blob`, the arithmetic in `primitives`, which loads `cryptography` only when called.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import assert_never

from fidokit.errors import SignatureInvalid
from fidokit.openssh import wire
from fidokit.openssh.keys.public import (
    EcdsaPublic,
    Ed25519Public,
    PublicKey,
    RsaPublic,
    SkEcdsaPublic,
    SkEd25519Public,
)
from fidokit.openssh.signatures import primitives
from fidokit.openssh.signatures.assertion import from_assertion
from fidokit.openssh.signatures.wire_forms import (
    ATTESTED_DATA,
    EXTENSION_DATA,
    USER_PRESENT,
    USER_VERIFIED,
    PlainSignature,
    Signature,
    SkEcdsaSignature,
    SkEd25519Signature,
    SkSignature,
    WebauthnSkEcdsaSignature,
    parse_signature,
    split_ecdsa,
)
from fidokit.types import Application

__all__ = [
    "USER_PRESENT",
    "USER_VERIFIED",
    "PlainSignature",
    "Signature",
    "SkEcdsaSignature",
    "SkEd25519Signature",
    "SkSignature",
    "WebauthnSkEcdsaSignature",
    "client_data_prefix",
    "from_assertion",
    "parse_signature",
    "sk_signed_bytes",
    "verify",
]


def sk_signed_bytes(
    application: Application,
    flags: int,
    counter: int,
    message: bytes,
    *,
    extensions: bytes = b"",
) -> bytes:
    """What a token signs: SHA256(application), flags, counter, extensions, SHA256(message).

    Args:
        application: the key's application, which is CTAP's RP id.
        flags: the authenticator data's flags byte, 0 to 255.
        counter: the signature counter, 0 to 2**32 - 1.
        message: what was given to sign, before any hash; for webauthn the clientData.
        extensions: the authenticator data's CBOR of extension outputs; only webauthn has any.

    Source: PROTOCOL.u2f, "SSH U2F signatures".
    """
    return (
        hashlib.sha256(application.encode()).digest()
        + wire.u8(flags)
        + wire.u32(counter)
        + extensions
        + hashlib.sha256(message).digest()
    )


def client_data_prefix(message: bytes, origin: str) -> bytes:
    """How clientData has to begin for a message and an origin (WebAuthn section 5.8.1.1).

    The order of the members is fixed there, so neither OpenSSH nor we need to parse JSON.
    """
    challenge = urlsafe_b64encode(message).rstrip(b"=")
    return b'{"type":"webauthn.get","challenge":"%b","origin":"%b"' % (challenge, origin.encode())


def _check_client_data(signature: WebauthnSkEcdsaSignature, message: bytes) -> None:
    if '"' in signature.origin:
        raise SignatureInvalid("the signature's origin holds a quote, which would forge JSON")
    if signature.flags & ATTESTED_DATA:
        raise SignatureInvalid("the signature is one of a registration, not of a login")
    if bool(signature.flags & EXTENSION_DATA) != bool(signature.extensions):
        raise SignatureInvalid("the signature's flags and its extension data disagree")
    if not signature.client_data.startswith(client_data_prefix(message, signature.origin)):
        raise SignatureInvalid(
            "the browser signed for another message or another origin",
            hint="Make sure that this is the message that was signed, byte for byte",
        )


def _require(signature: SkSignature, *, require_touch: bool, require_verification: bool) -> None:
    if require_touch and not signature.user_present:
        raise SignatureInvalid(
            "the token signed without a touch",
            hint="Accept it only if the key was made with no-touch-required on purpose",
        )
    if require_verification and not signature.user_verified:
        raise SignatureInvalid(
            "the token signed without verifying a PIN or a fingerprint",
            hint="Sign with a key that was made with verify-required",
        )


def _verify_sk(key: SkEd25519Public | SkEcdsaPublic, signature: SkSignature, data: bytes) -> bool:
    match key, signature:
        case SkEd25519Public(), SkEd25519Signature():
            signed = sk_signed_bytes(key.application, signature.flags, signature.counter, data)
            return primitives.ed25519(key.point, signature.signature, signed)
        case SkEcdsaPublic(), SkEcdsaSignature():
            signed = sk_signed_bytes(key.application, signature.flags, signature.counter, data)
        case SkEcdsaPublic(), WebauthnSkEcdsaSignature():
            _check_client_data(signature, data)
            signed = sk_signed_bytes(
                key.application,
                signature.flags,
                signature.counter,
                signature.client_data,
                extensions=signature.extensions,
            )
        case _:
            raise _mismatch(key, signature)
    return primitives.ecdsa("nistp256", key.point, (signature.r, signature.s), signed)


def _verify_plain(
    key: Ed25519Public | EcdsaPublic | RsaPublic, signature: PlainSignature, data: bytes
) -> bool:
    fits = signature.type_name == key.type_name or (
        isinstance(key, RsaPublic) and signature.type_name.startswith("rsa-sha2-")
    )
    if not fits:
        raise _mismatch(key, signature)
    match key:
        case Ed25519Public():
            return primitives.ed25519(key.point, signature.data, data)
        case EcdsaPublic():
            return primitives.ecdsa(key.curve, key.point, split_ecdsa(signature.data), data)
        case RsaPublic():
            return primitives.rsa(key.e, key.n, signature.type_name, signature.data, data)
        case _:
            assert_never(key)


def _mismatch(key: PublicKey, signature: Signature) -> SignatureInvalid:
    return SignatureInvalid(
        f"a signature of type {signature.type_name} cannot be by a key of type {key.type_name}"
    )


def verify(
    public: PublicKey,
    signature: Signature,
    message: bytes,
    *,
    require_touch: bool = False,
    require_verification: bool = False,
) -> None:
    """Return where `signature` is one by `public` over `message`.

    The defaults are those of `ssh-keygen -Y verify`, which takes any true signature; sshd
    demands a touch. The flags themselves are `signature.user_present` and `.user_verified`;
    ordinary keys have none, and neither requirement concerns them.

    Args:
        public: the key that is said to have signed.
        signature: what `parse_signature` or a token gave.
        message: what was signed, before any hash.
        require_touch: also demand that the token was touched.
        require_verification: also demand that the token verified a PIN or a fingerprint.

    Raises:
        SignatureInvalid: it is not, or a requirement is not met.
        MalformedKey: the public key is none that can verify anything (a point off the curve).
    """
    if isinstance(public, SkEd25519Public | SkEcdsaPublic):
        if isinstance(signature, PlainSignature):
            raise _mismatch(public, signature)
        valid = _verify_sk(public, signature, message)
        if valid:
            _require(
                signature, require_touch=require_touch, require_verification=require_verification
            )
    elif isinstance(signature, PlainSignature):
        valid = _verify_plain(public, signature, message)
    else:
        raise _mismatch(public, signature)
    if not valid:
        raise SignatureInvalid(
            "the signature does not verify: another key made it, or the message was changed",
            hint="Compare the message byte for byte, line ends included, and the key's fingerprint",
        )
