"""The public key types of SSH that are read and written: values, names and wire forms.

Sources: OpenSSH PROTOCOL.u2f (both token types), RFC 4253 section 6.6 (rsa), RFC 5656 section
3.1 (ecdsa), RFC 8709 section 4 (ed25519). Nothing is checked here; public.py does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fidokit.openssh import wire
from fidokit.openssh.keys.curves import NIST_CURVES
from fidokit.types import Application, KeyType


@dataclass(frozen=True, slots=True)
class SkEd25519Public:
    """string type, string point (32 bytes), string application. Source: PROTOCOL.u2f."""

    point: bytes
    application: Application

    type_name: ClassVar[str] = "sk-ssh-ed25519@openssh.com"
    short_type: ClassVar[str] = "ED25519-SK"
    bits: ClassVar[int] = 256
    key_type: ClassVar[KeyType] = KeyType.ED25519_SK

    def blob(self) -> bytes:
        """The wire form, which fingerprints and signatures refer to."""
        return wire.text(self.type_name) + wire.string(self.point) + wire.text(self.application)


@dataclass(frozen=True, slots=True)
class SkEcdsaPublic:
    """string type, string "nistp256", string Q (0x04 x y, 65 bytes), string application.

    Source: PROTOCOL.u2f.
    """

    point: bytes
    application: Application

    type_name: ClassVar[str] = "sk-ecdsa-sha2-nistp256@openssh.com"
    short_type: ClassVar[str] = "ECDSA-SK"
    bits: ClassVar[int] = 256
    curve: ClassVar[str] = "nistp256"
    key_type: ClassVar[KeyType] = KeyType.ECDSA_SK

    def blob(self) -> bytes:
        """The wire form, which fingerprints and signatures refer to."""
        return (
            wire.text(self.type_name)
            + wire.text(self.curve)
            + wire.string(self.point)
            + wire.text(self.application)
        )


@dataclass(frozen=True, slots=True)
class Ed25519Public:
    """string "ssh-ed25519", string point (32 bytes). Source: RFC 8709 section 4."""

    point: bytes

    type_name: ClassVar[str] = "ssh-ed25519"
    short_type: ClassVar[str] = "ED25519"
    bits: ClassVar[int] = 256

    def blob(self) -> bytes:
        """The wire form, which fingerprints and signatures refer to."""
        return wire.text(self.type_name) + wire.string(self.point)


@dataclass(frozen=True, slots=True)
class EcdsaPublic:
    """string "ecdsa-sha2-" + curve, string curve, string Q. Source: RFC 5656 section 3.1.

    `curve` is one of nistp256, nistp384, nistp521; Q is uncompressed: 65, 97 or 133 bytes.
    """

    curve: str
    point: bytes

    short_type: ClassVar[str] = "ECDSA"

    @property
    def type_name(self) -> str:
        """The name on the wire, which carries the curve."""
        return f"ecdsa-sha2-{self.curve}"

    @property
    def bits(self) -> int:
        """The size of the curve's field in bits: 256, 384 or 521."""
        return NIST_CURVES[self.curve].bits

    def blob(self) -> bytes:
        """The wire form, which fingerprints and signatures refer to."""
        return wire.text(self.type_name) + wire.text(self.curve) + wire.string(self.point)


@dataclass(frozen=True, slots=True)
class RsaPublic:
    """string "ssh-rsa", mpint e, mpint n (1024 to 16384 bits). Source: RFC 4253 section 6.6."""

    e: int
    n: int

    type_name: ClassVar[str] = "ssh-rsa"
    short_type: ClassVar[str] = "RSA"

    @property
    def bits(self) -> int:
        """The size of the modulus in bits."""
        return self.n.bit_length()

    def blob(self) -> bytes:
        """The wire form, which fingerprints and signatures refer to."""
        return wire.text(self.type_name) + wire.mpint(self.e) + wire.mpint(self.n)


SkPublic = SkEd25519Public | SkEcdsaPublic
PublicKey = SkEd25519Public | SkEcdsaPublic | Ed25519Public | EcdsaPublic | RsaPublic
