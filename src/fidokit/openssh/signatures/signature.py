"""Signatures: their wire forms, the bytes that a token signs, and verifying; from what a token
returns for an assertion to the signature that OpenSSH wants.

Sources: OpenSSH PROTOCOL.u2f ("SSH U2F signatures", "webauthn signatures"), WebAuthn sections
5.8.1.1 and 6.1, RFC 4253 section 6.6, RFC 5656 section 3.1.2, RFC 8332 section 3, RFC 8709 section
6. The arithmetic is in `primitives` and `composite`,
which load `cryptography` only when called.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Union

from fidokit.errors import MalformedKey, SignatureInvalid, TokenMisbehaved, Unsupported
from fidokit.openssh import wire
from fidokit.openssh.keys.public import (
    ML_DSA_ED25519_NAMES,
    EcdsaPublic,
    Ed25519Public,
    MlDsaEd25519Public,
    PublicKey,
    RsaPublic,
    SkEcdsaPublic,
    SkEd25519Public,
)
from fidokit.openssh.signatures import composite, primitives
from fidokit.openssh.wire import Reader
from fidokit.types import Application, KeyType

USER_PRESENT: Final = 0x01
USER_VERIFIED: Final = 0x04
ATTESTED_DATA: Final = 0x40
EXTENSION_DATA: Final = 0x80
"""Bits of the flags byte in authenticator data (WebAuthn section 6.1) and in sk signatures."""

ED25519_LENGTH: Final = 64
"""Bytes of every Ed25519 signature (RFC 8032 section 5.1.6)."""

MAX_SIGNATURE: Final = 1 << 18
"""Longest signature blob that is looked at, bytes; rsa needs 2 KiB, webauthn what a page sends."""


class _TokenFlags:
    """What the token says about the user, read from the signed flags byte."""

    __slots__ = ()
    flags: int

    @property
    def user_present(self) -> bool:
        """Whether the token was touched."""
        return bool(self.flags & USER_PRESENT)

    @property
    def user_verified(self) -> bool:
        """Whether the token verified a PIN or a fingerprint."""
        return bool(self.flags & USER_VERIFIED)


@dataclass(frozen=True)
class SkEd25519Signature(_TokenFlags):
    """string type, string signature (64 bytes), byte flags, uint32 counter.

    Source: PROTOCOL.u2f. `flags` is the authenticator data's flags byte, 0 to 255.
    """

    signature: bytes
    flags: int
    counter: int

    type_name: ClassVar[str] = "sk-ssh-ed25519@openssh.com"

    def blob(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return (
            wire.text(self.type_name)
            + wire.string(self.signature)
            + wire.u8(self.flags)
            + wire.u32(self.counter)
        )


def _ecdsa_blob(signature: SkEcdsaSignature | WebauthnSkEcdsaSignature) -> bytes:
    """What both types begin with."""
    return (
        wire.text(signature.type_name)
        + wire.string(wire.mpint(signature.r) + wire.mpint(signature.s))
        + wire.u8(signature.flags)
        + wire.u32(signature.counter)
    )


@dataclass(frozen=True)
class SkEcdsaSignature(_TokenFlags):
    """string type, string (mpint r, mpint s), byte flags, uint32 counter.

    Source: PROTOCOL.u2f.
    """

    r: int
    s: int
    flags: int
    counter: int

    type_name: ClassVar[str] = "sk-ecdsa-sha2-nistp256@openssh.com"

    def blob(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return _ecdsa_blob(self)


@dataclass(frozen=True)
class WebauthnSkEcdsaSignature(_TokenFlags):
    """The fields of `SkEcdsaSignature`, then string origin, string clientData, string extensions.

    A web page cannot have a bare message signed: the token signs the browser's clientData, a
    JSON text that holds the message as its challenge. Source: PROTOCOL.u2f.
    """

    r: int
    s: int
    flags: int
    counter: int
    origin: str
    client_data: bytes
    extensions: bytes

    type_name: ClassVar[str] = "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"

    def blob(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return (
            _ecdsa_blob(self)
            + wire.text(self.origin)
            + wire.string(self.client_data)
            + wire.string(self.extensions)
        )


@dataclass(frozen=True)
class PlainSignature:
    """string type, string data: a signature by an ordinary ssh key.

    `data` is 64 bytes for ssh-ed25519; mpint r, mpint s for ecdsa-sha2-*; the big-endian
    number for rsa-sha2-*; 2420 bytes and then 64 for ssh-mldsa44-ed25519.
    """

    type_name: str
    data: bytes

    def blob(self) -> bytes:
        """The bytes on the wire, as the grammar of the class says."""
        return wire.text(self.type_name) + wire.string(self.data)


# Python 3.9 evaluates them
SkSignature = Union[SkEd25519Signature, SkEcdsaSignature, WebauthnSkEcdsaSignature]  # noqa: UP007
Signature = Union[SkSignature, PlainSignature]  # noqa: UP007


# --- parsing -------------------------------------------------------------------------------


def _ed25519_data(reader: Reader) -> bytes:
    at = reader.offset
    data = reader.string()
    if len(data) != ED25519_LENGTH:
        raise MalformedKey(
            f"signature: an Ed25519 signature has {ED25519_LENGTH} bytes,"
            f" the one at offset {at} has {len(data)}"
        )
    return data


def split_ecdsa(data: bytes) -> tuple[int, int]:
    """r and s of `mpint r, mpint s` (RFC 5656 section 3.1.2).

    Raises:
        MalformedKey: not two non-negative integers in their shortest form.
    """
    reader = Reader(data, "signature")
    r, s = reader.mpint(), reader.mpint()
    reader.end()
    return r, s


def _sk_ed25519(reader: Reader) -> SkEd25519Signature:
    return SkEd25519Signature(_ed25519_data(reader), reader.u8(), reader.u32())


def _sk_ecdsa(reader: Reader) -> SkEcdsaSignature:
    r, s = split_ecdsa(reader.string())
    return SkEcdsaSignature(r, s, reader.u8(), reader.u32())


def _webauthn(reader: Reader) -> WebauthnSkEcdsaSignature:
    r, s = split_ecdsa(reader.string())
    flags, counter = reader.u8(), reader.u32()
    at = reader.offset
    origin = reader.text()
    if "\0" in origin:
        raise MalformedKey(f"signature: the origin at offset {at} holds a NUL")
    return WebauthnSkEcdsaSignature(r, s, flags, counter, origin, reader.string(), reader.string())


def _ed25519(reader: Reader) -> PlainSignature:
    return PlainSignature("ssh-ed25519", _ed25519_data(reader))


def _ecdsa(type_name: str) -> Callable[[Reader], PlainSignature]:
    def read(reader: Reader) -> PlainSignature:
        data = reader.string()
        split_ecdsa(data)  # only for its complaint: the bytes are kept as they are
        return PlainSignature(type_name, data)

    return read


def _rsa(type_name: str) -> Callable[[Reader], PlainSignature]:
    return lambda reader: PlainSignature(type_name, reader.string())


def _composite(type_name: str) -> Callable[[Reader], PlainSignature]:
    def read(reader: Reader) -> PlainSignature:
        data = reader.string()
        if len(data) != composite.SIGNATURE:
            raise MalformedKey(
                f"signature: one of {type_name} has {composite.SIGNATURE} bytes, not {len(data)}"
            )
        return PlainSignature(type_name, data)

    return read


_FIELDS: Final[Mapping[str, Callable[[Reader], Signature]]] = {
    SkEd25519Signature.type_name: _sk_ed25519,
    SkEcdsaSignature.type_name: _sk_ecdsa,
    WebauthnSkEcdsaSignature.type_name: _webauthn,
    "ssh-ed25519": _ed25519,
    **{f"ecdsa-sha2-nistp{bits}": _ecdsa(f"ecdsa-sha2-nistp{bits}") for bits in (256, 384, 521)},
    **{f"rsa-sha2-{bits}": _rsa(f"rsa-sha2-{bits}") for bits in (256, 512)},
    **{name: _composite(name) for name in ML_DSA_ED25519_NAMES},
}

TYPE_NAMES: Final = frozenset(_FIELDS)
"""The wire names of every signature type that is read."""


def parse_signature(blob: bytes) -> Signature:
    """The signature in a wire blob, without verifying it.

    Args:
        blob: type name and fields, at most `MAX_SIGNATURE` bytes.

    Raises:
        MalformedKey: not a known type, not its layout, bytes behind the last field, or an RSA
            signature over SHA-1 (type ssh-rsa).
    """
    if len(blob) > MAX_SIGNATURE:
        raise MalformedKey(f"signature: {len(blob)} bytes are more than {MAX_SIGNATURE}")
    reader = Reader(blob, "signature")
    type_name = reader.text()
    fields = _FIELDS.get(type_name)
    if fields is None:
        raise _unknown_type(type_name)
    signature = fields(reader)
    reader.end()
    return signature


def _unknown_type(type_name: str) -> MalformedKey:
    if type_name == "ssh-rsa":
        return MalformedKey(
            "this is an RSA signature over SHA-1, which proves nothing any more",
            hint="Have it signed again as rsa-sha2-256 or rsa-sha2-512",
        )
    return MalformedKey(f"signature: type {type_name[:64]!r} is not known")


def from_assertion(
    key_type: KeyType, flags: int, counter: int, signature: bytes
) -> SkEd25519Signature | SkEcdsaSignature:
    """The OpenSSH signature that says the same as a CTAP assertion.

    OpenSSH rebuilds the authenticator data from flags and counter alone, so an assertion whose
    authenticator data held anything else could never verify (PROTOCOL.u2f).

    Args:
        key_type: what the credential is.
        flags: the authenticator data's flags byte, 0 to 255.
        counter: the authenticator data's counter, 0 to 2**32 - 1.
        signature: DER of r and s (ES256), or 64 bytes (EdDSA).

    Raises:
        Unsupported: the authenticator data held extension outputs or attested data.
        TokenMisbehaved: the signature has not the form that its algorithm gives it.
    """
    if flags & (EXTENSION_DATA | ATTESTED_DATA):
        raise Unsupported(
            "the token put more into its assertion than an OpenSSH signature can carry",
            hint="Ask the token for an assertion without extensions",
        )
    if key_type is KeyType.ECDSA_SK:
        r, s = _split_der(signature)
        return SkEcdsaSignature(r, s, flags, counter)
    if len(signature) != ED25519_LENGTH:
        raise TokenMisbehaved(
            f"the token's Ed25519 signature has {len(signature)} bytes, not {ED25519_LENGTH}"
        )
    return SkEd25519Signature(signature, flags, counter)


def _split_der(signature: bytes) -> tuple[int, int]:
    from cryptography.hazmat.primitives.asymmetric.utils import (
        decode_dss_signature,
    )

    try:
        return decode_dss_signature(signature)
    except ValueError:
        raise TokenMisbehaved("the token's ECDSA signature is not DER of two integers") from None


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
    if isinstance(key, SkEd25519Public) and isinstance(signature, SkEd25519Signature):
        signed = sk_signed_bytes(key.application, signature.flags, signature.counter, data)
        return primitives.ed25519(key.point, signature.signature, signed)
    if not isinstance(key, SkEcdsaPublic) or isinstance(signature, SkEd25519Signature):
        raise _mismatch(key, signature)
    if isinstance(signature, WebauthnSkEcdsaSignature):
        _check_client_data(signature, data)
        signed = sk_signed_bytes(
            key.application,
            signature.flags,
            signature.counter,
            signature.client_data,
            extensions=signature.extensions,
        )
    else:
        signed = sk_signed_bytes(key.application, signature.flags, signature.counter, data)
    return primitives.ecdsa("nistp256", key.point, (signature.r, signature.s), signed)


def _verify_plain(
    key: Ed25519Public | EcdsaPublic | RsaPublic | MlDsaEd25519Public,
    signature: PlainSignature,
    data: bytes,
) -> bool:
    fits = signature.type_name == key.type_name or (
        isinstance(key, RsaPublic) and signature.type_name.startswith("rsa-sha2-")
    )
    if not fits:
        raise _mismatch(key, signature)
    if isinstance(key, Ed25519Public):
        return primitives.ed25519(key.point, signature.data, data)
    if isinstance(key, EcdsaPublic):
        return primitives.ecdsa(key.curve, key.point, split_ecdsa(signature.data), data)
    if isinstance(key, MlDsaEd25519Public):
        return composite.verify(key.points, signature.data, data)
    return primitives.rsa(key.e, key.n, signature.type_name, signature.data, data)


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
        Unsupported: it is a post-quantum key, and this Python's `cryptography` knows none.
    """
    if isinstance(public, (SkEd25519Public, SkEcdsaPublic)):
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
