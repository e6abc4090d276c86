"""The wire forms of signatures: token keys, web browsers with token keys, ordinary ssh keys.

Sources: OpenSSH PROTOCOL.u2f ("SSH U2F signatures", "webauthn signatures"), RFC 4253 section
6.6, RFC 5656 section 3.1.2, RFC 8332 section 3, RFC 8709 section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.wire import Reader

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
    """What the token says about the person, read from the signed flags byte."""

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


@dataclass(frozen=True, slots=True)
class SkEd25519Signature(_TokenFlags):
    """string type, string signature (64 bytes), byte flags, uint32 counter.

    Source: PROTOCOL.u2f. `flags` is the authenticator data's flags byte, 0 to 255.
    """

    signature: bytes
    flags: int
    counter: int

    type_name: ClassVar[str] = "sk-ssh-ed25519@openssh.com"

    def blob(self) -> bytes:
        """The wire form."""
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


@dataclass(frozen=True, slots=True)
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
        """The wire form."""
        return _ecdsa_blob(self)


@dataclass(frozen=True, slots=True)
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
        """The wire form."""
        return (
            _ecdsa_blob(self)
            + wire.text(self.origin)
            + wire.string(self.client_data)
            + wire.string(self.extensions)
        )


@dataclass(frozen=True, slots=True)
class PlainSignature:
    """string type, string data: a signature by an ordinary ssh key.

    `data` is 64 bytes for ssh-ed25519; mpint r, mpint s for ecdsa-sha2-*; the big-endian
    number for rsa-sha2-*.
    """

    type_name: str
    data: bytes

    def blob(self) -> bytes:
        """The wire form."""
        return wire.text(self.type_name) + wire.string(self.data)


SkSignature = SkEd25519Signature | SkEcdsaSignature | WebauthnSkEcdsaSignature
Signature = SkSignature | PlainSignature


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


_FIELDS: Final[Mapping[str, Callable[[Reader], Signature]]] = {
    SkEd25519Signature.type_name: _sk_ed25519,
    SkEcdsaSignature.type_name: _sk_ecdsa,
    WebauthnSkEcdsaSignature.type_name: _webauthn,
    "ssh-ed25519": _ed25519,
    **{f"ecdsa-sha2-nistp{bits}": _ecdsa(f"ecdsa-sha2-nistp{bits}") for bits in (256, 384, 521)},
    **{f"rsa-sha2-{bits}": _rsa(f"rsa-sha2-{bits}") for bits in (256, 512)},
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
