"""Public lines for tests of the server's side: two of a token's keys, two ordinary ones."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from fidokit.openssh.keys.public import Ed25519Public, PublicLine, SkEcdsaPublic, SkEd25519Public
from fidokit.openssh.lines.options import Option
from fidokit.server.authorize.wishes import WantedKey
from fidokit.types import Application


def _point(number: int) -> bytes:
    private = ed25519.Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32)
    return private.public_key().public_bytes_raw()


def _q(number: int) -> bytes:
    return (
        ec.derive_private_key(number, ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )


PLAIN = PublicLine(Ed25519Public(_point(1)), "plain")
OTHER = PublicLine(Ed25519Public(_point(2)), "other")
TOKEN = PublicLine(SkEd25519Public(_point(3), Application("ssh:")), "token")
TOKEN_ECDSA = PublicLine(SkEcdsaPublic(_q(4), Application("ssh:")), "token ecdsa")


def text(*lines: PublicLine) -> bytes:
    """A file of these lines."""
    return b"".join(line.encode().encode() + b"\n" for line in lines)


def wanted(line: PublicLine, *options: Option) -> WantedKey:
    """The key of a line, to be let in with these options."""
    return WantedKey(line.key, line.comment, options)
