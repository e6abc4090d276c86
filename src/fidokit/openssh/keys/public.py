"""Public keys: SSH wire blobs and the one-line files that ssh-keygen writes.

Sources: OpenSSH PROTOCOL.u2f (both token types), RFC 4253 section 6.6 (rsa), RFC 5656 section
3.1 (ecdsa), RFC 8709 section 4 (ed25519), OpenSSH's ssh-mldsa-eddsa.c (mldsa44-ed25519).

What `parse_public` checks of an elliptic point: NIST points satisfy the curve's equation; an
Ed25519 point has 32 bytes, which is all that stock OpenSSH looks at too. Whether those decode
to a point of the curve takes a modular power, fifty times as long as all the rest, so it is a
call of its own, `require_on_curve`, for the places that take a key into use.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fidokit.errors import MalformedKey, UsageError
from fidokit.openssh import wire
from fidokit.openssh.keys.key_types import (
    NIST_CURVES,
    EcdsaPublic,
    Ed25519Public,
    MlDsaEd25519Public,
    PublicKey,
    RsaPublic,
    SkEcdsaPublic,
    SkEd25519Public,
    SkPublic,
    on_ed25519_curve,
    on_nist_curve,
    on_p256,
)
from fidokit.openssh.wire import Reader
from fidokit.types import Application

__all__ = [
    "CERTIFICATE_SUFFIX",
    "MAX_BLOB",
    "ML_DSA_ED25519_NAMES",
    "RSA_MAX_BITS",
    "RSA_MIN_BITS",
    "SK_ED25519_HEAD",
    "TYPE_NAMES",
    "EcdsaPublic",
    "Ed25519Public",
    "MlDsaEd25519Public",
    "PublicKey",
    "PublicLine",
    "RsaPublic",
    "SkEcdsaPublic",
    "SkEd25519Public",
    "SkPublic",
    "as_bytes",
    "check_comment",
    "decode_base64",
    "fixed_layout",
    "is_ascii_string",
    "is_certificate_type",
    "parse_public",
    "parse_public_line",
    "read_application",
    "read_public_fields",
    "require_on_curve",
]

MAX_BLOB: Final = 1 << 16
"""Longest public key blob that is looked at, bytes; the largest honest one (rsa) has 4 KiB."""

RSA_MIN_BITS: Final = 1024
RSA_MAX_BITS: Final = 16384
"""What stock OpenSSH accepts (sshkey.h, sshbuf.h)."""


# --- the fields behind the type name -------------------------------------------------------


def read_application(reader: Reader) -> Application:
    """A string of UTF-8 without NUL: C programs would cut it there and hash something else."""
    at = reader.offset
    application = reader.text()
    if "\0" in application:
        raise MalformedKey(f"public key: application at offset {at} holds a NUL")
    return Application(application)


def _ed25519_point(reader: Reader) -> bytes:
    at = reader.offset
    point = reader.string()
    if len(point) != 32:
        raise MalformedKey(
            f"public key: Ed25519 point at offset {at} has {len(point)} bytes, not 32"
        )
    return point


def _nist_point(reader: Reader, curve: str) -> bytes:
    reader.expect(curve.encode())
    at = reader.offset
    point = reader.string()
    if not on_nist_curve(NIST_CURVES[curve], point):
        raise MalformedKey(
            f"public key: point at offset {at} is not on the curve {curve}",
            hint="The key is damaged or forged; get it again from its owner",
        )
    return point


def _sk_ed25519(reader: Reader) -> SkEd25519Public:
    return SkEd25519Public(_ed25519_point(reader), read_application(reader))


def _sk_ecdsa(reader: Reader) -> SkEcdsaPublic:
    return SkEcdsaPublic(_nist_point(reader, SkEcdsaPublic.curve), read_application(reader))


def _ed25519(reader: Reader) -> Ed25519Public:
    return Ed25519Public(_ed25519_point(reader))


def _ecdsa(curve: str) -> Callable[[Reader], EcdsaPublic]:
    return lambda reader: EcdsaPublic(curve, _nist_point(reader, curve))


def _rsa(reader: Reader) -> RsaPublic:
    e, n = reader.mpint(), reader.mpint()
    if not RSA_MIN_BITS <= n.bit_length() <= RSA_MAX_BITS:
        raise MalformedKey(
            f"public key: an RSA modulus of {n.bit_length()} bits is outside"
            f" {RSA_MIN_BITS} to {RSA_MAX_BITS}",
            hint="OpenSSH refuses it too; make a new key",
        )
    if not 0 < e < n:
        raise MalformedKey("public key: the RSA exponent is outside 1 to the modulus")
    return RsaPublic(e, n)


ML_DSA_ED25519_NAMES: Final = ("ssh-mldsa44-ed25519", "ssh-mldsa44-ed25519@openssh.com")
"""The type's name from OpenSSH 10.6 on, and in 10.4 and 10.5."""


def _ml_dsa_ed25519(type_name: str) -> Callable[[Reader], MlDsaEd25519Public]:
    def read(reader: Reader) -> MlDsaEd25519Public:
        at = reader.offset
        points = reader.string()
        if len(points) != MlDsaEd25519Public.size:
            raise MalformedKey(
                f"public key: the ML-DSA-44 and Ed25519 points at offset {at} have"
                f" {len(points)} bytes, not {MlDsaEd25519Public.size}"
            )
        return MlDsaEd25519Public(points, type_name)

    return read


_FIELDS: Final[Mapping[str, Callable[[Reader], PublicKey]]] = {
    SkEd25519Public.type_name: _sk_ed25519,
    SkEcdsaPublic.type_name: _sk_ecdsa,
    Ed25519Public.type_name: _ed25519,
    RsaPublic.type_name: _rsa,
    **{f"ecdsa-sha2-{curve}": _ecdsa(curve) for curve in NIST_CURVES},
    **{name: _ml_dsa_ed25519(name) for name in ML_DSA_ED25519_NAMES},
}

TYPE_NAMES: Final = frozenset(_FIELDS)
"""The wire names of every public key type that is read."""

CERTIFICATE_SUFFIX: Final = "-cert-v01@openssh.com"
"""What OpenSSH's own certificate types end in."""
_STANDARD_SUFFIX: Final = "-cert"
"""What those end in whose key's type is nobody's own (draft-ietf-sshm-ssh-cert)."""


def is_certificate_type(type_name: str) -> bool:
    """Whether a type's name is a certificate's, known or not."""
    return type_name.endswith((CERTIFICATE_SUFFIX, _STANDARD_SUFFIX))


def read_public_fields(type_name: str, reader: Reader) -> PublicKey:
    """The fields that follow the type name, as plain keys, certificates and private files share.

    Raises:
        MalformedKey: a type that is not in `TYPE_NAMES`, or fields that break its layout.
    """
    fields = _FIELDS.get(type_name)
    if fields is None:
        raise _unknown_type(type_name)
    return fields(reader)


class UnknownKeyType(MalformedKey):
    """A public key of a type that is not in `TYPE_NAMES`."""


def _unknown_type(type_name: str) -> MalformedKey:
    if is_certificate_type(type_name):
        return MalformedKey(
            f"this is a certificate ({type_name}), where a plain public key was expected",
            hint="Name the key's .pub file instead of its -cert.pub file",
        )
    return UnknownKeyType(
        f"public key: type {type_name[:64]!r} is not known",
        hint="Known are ed25519-sk, ecdsa-sk, ed25519, ecdsa, rsa and mldsa44-ed25519 keys",
    )


# --- blobs ---------------------------------------------------------------------------------

SK_ED25519_HEAD: Final = wire.text(SkEd25519Public.type_name) + wire.u32(32)
"""What every ed25519-sk key begins with; 32 bytes of a point follow, then the application."""
_SK_ED25519_TAIL: Final = len(SK_ED25519_HEAD) + 32
_SK_ECDSA_HEAD: Final = (
    wire.text(SkEcdsaPublic.type_name) + wire.text(SkEcdsaPublic.curve) + wire.u32(65) + b"\x04"
)
_SK_ECDSA_TAIL: Final = len(_SK_ECDSA_HEAD) + 64


def fixed_layout(blob: bytes) -> type[SkPublic] | None:
    """The type of a token key as every tool writes it, told by fixed offsets alone.

    None means nothing but: read it fully. A type means that `parse_public` takes the blob, point
    and application included; a test holds the two together. This is what makes files of 100,000
    keys bearable.
    """
    if blob.startswith(SK_ED25519_HEAD):
        return SkEd25519Public if is_ascii_string(blob[_SK_ED25519_TAIL:]) else None
    if (
        blob.startswith(_SK_ECDSA_HEAD)
        and is_ascii_string(blob[_SK_ECDSA_TAIL:])
        and on_p256(blob[_SK_ECDSA_TAIL - 64 : _SK_ECDSA_TAIL])
    ):
        return SkEcdsaPublic
    return None


@lru_cache(maxsize=64)  # one file names few applications, and asks this for every key
def is_ascii_string(tail: bytes) -> bool:
    """Whether `tail` is one string of at most 255 bytes of ASCII, none of them NUL."""
    return (
        4 <= len(tail) <= 4 + 255
        and tail.startswith(wire.u32(len(tail) - 4))
        and tail.isascii()
        and b"\0" not in tail[4:]
    )


def _by_fixed_offsets(blob: bytes) -> SkPublic | None:
    layout = fixed_layout(blob)
    if layout is SkEd25519Public:
        at, size = _SK_ED25519_TAIL, 32
    elif layout is SkEcdsaPublic:
        at, size = _SK_ECDSA_TAIL, 65
    else:
        return None
    return layout(blob[at - size : at], Application(blob[at + 4 :].decode("ascii")))


def _by_reader(blob: bytes) -> PublicKey:
    if len(blob) > MAX_BLOB:
        raise MalformedKey(f"public key: {len(blob)} bytes are more than the {MAX_BLOB} allowed")
    reader = Reader(blob, "public key")
    key = read_public_fields(reader.text(), reader)
    reader.end()
    return key


def parse_public(blob: bytes) -> PublicKey:
    """The key in a wire blob.

    Args:
        blob: type name and fields, at most `MAX_BLOB` bytes.

    Raises:
        MalformedKey: not a known type, not its layout, a NIST point off its curve, an RSA
            modulus out of bounds, bytes behind the last field, or a certificate.
    """
    return _by_fixed_offsets(blob) or _by_reader(blob)


def require_on_curve(key: PublicKey) -> None:
    """Make sure that an Ed25519 point decodes to a point of the curve (RFC 8032 section 5.1.3).

    `parse_public` has already done this for NIST curves. Takes 0.1 ms.

    Raises:
        MalformedKey: it does not; no signature can ever verify under such a key.
    """
    if isinstance(key, (SkEd25519Public, Ed25519Public)) and not on_ed25519_curve(key.point):
        raise MalformedKey(
            "public key: the Ed25519 point is not on the curve",
            hint="The key is damaged or forged; get it again from its owner",
        )


# --- public lines --------------------------------------------------------------------------


@dataclass(frozen=True)
class PublicLine:
    """What a .pub file holds: `type base64 comment`. The comment may be empty."""

    key: PublicKey
    comment: str

    def encode(self) -> str:
        """The line without a line end, as `ssh-keygen -y` prints it.

        Raises:
            UsageError: the comment holds a line break, which would forge another line, or NUL,
                or is not text.
        """
        check_comment(self.comment, forbidden="\r\n\0")
        base64 = b2a_base64(self.key.blob(), newline=False).decode("ascii")
        return f"{self.key.type_name} {base64}" + (f" {self.comment}" if self.comment else "")


def as_bytes(text: str) -> bytes:
    """A line or a comment as bytes: those that were not UTF-8 are given back (PEP 383)."""
    return text.encode("utf-8", "surrogateescape")


def check_comment(comment: str, *, forbidden: str) -> None:
    """Make sure that a comment can be written.

    Args:
        comment: any text; bytes that are not UTF-8 stand in it as lone surrogates (PEP 383),
            as the command line and files give them.
        forbidden: the signs that its place cannot carry.

    Raises:
        UsageError: it cannot.
    """
    if any(sign in comment for sign in forbidden) or any(
        "\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" for c in comment
    ):
        raise UsageError(
            "the comment holds a line break, a NUL or half of a character",
            hint="Give the key another comment",
        )


def decode_base64(field: bytes) -> bytes:
    """One field of base64, exactly as an encoder writes it (RFC 4648 section 3.5).

    Raises:
        MalformedKey: other signs, wrong padding, or stray bits behind the last byte.
    """
    try:
        data = a2b_base64(field)
    except ValueError as error:
        raise MalformedKey("public key: its base64 is cut off or damaged") from error
    # Decoding is lenient; what encoding gives back is all that was there.
    if b2a_base64(data, newline=False) != field:
        raise MalformedKey("public key: stray signs or bits in the base64 field")
    return data


_LINE: Final = re.compile(rb"[ \t]*([^ \t\r\n]+)[ \t]+([^ \t\r\n]+)[ \t]*([^\r\n\0]*)[\r\n]*")
"""For `match`: by `fullmatch` a line that does not fit would be tried in many ways."""


def parse_public_line(text: str | bytes) -> PublicLine:
    """The key and comment of one line, as .pub files hold it.

    Blanks and tabs before and between the fields and the line's end are not part of them. The
    comment goes to the end of the line and is kept exactly, blanks at its end included.

    Args:
        text: the line; bytes of the comment that are not UTF-8 become lone surrogates (PEP 383).

    Raises:
        MalformedKey: not such a line, or a type name that differs from the one in the blob.
    """
    try:
        line = as_bytes(text) if isinstance(text, str) else text
    except UnicodeEncodeError:
        raise MalformedKey("public key: half of a character stands in the line") from None
    found = _LINE.match(line)
    if found is None or found.end() != len(line):
        raise MalformedKey(
            "this is not a public key line: type and base64 are not both there, alone on a line",
            hint="A public key line looks like: sk-ssh-ed25519@openssh.com AAAAGnNr... comment",
        )
    type_name, base64, comment = found.groups()
    key = parse_public(decode_base64(base64))
    if key.type_name.encode() != type_name:
        raise MalformedKey(
            f"public key: the line says {type_name[:64]!r}, the key in it is {key.type_name}"
        )
    return PublicLine(key, _comment(comment))


def _comment(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
