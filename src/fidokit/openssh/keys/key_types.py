"""The public key types of SSH that are read and written: values, names and wire forms; and whether
a point is on its curve, in plain integer arithmetic on public values, which needs no constant time.

Sources: OpenSSH PROTOCOL.u2f (both token types), RFC 4253 section 6.6 (rsa), RFC 5656 section
3.1 (ecdsa), RFC 8709 section 4 (ed25519), draft-miller-sshm-mldsa44-ed25519-composite-sigs
(mldsa44-ed25519); SEC 1 sections 2.3.4 and 3.2.2.1 with the curves of
SP 800-186 section 3.2.1, RFC 8032 section 5.1.3 for Ed25519. Keys are not checked here; public.py
does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Union

from fidokit.openssh import wire
from fidokit.types import Application, KeyType

UNCOMPRESSED: Final = 4
"""First byte of an uncompressed point (SEC 1 section 2.3.3), the only form that SSH allows."""


class NistCurve(NamedTuple):
    """A prime curve y² = x³ - 3x + b over `p`; `size` is one coordinate's length in bytes."""

    p: int
    b: int
    bits: int
    size: int


_P256 = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
_P384 = (1 << 384) - (1 << 128) - (1 << 96) + (1 << 32) - 1
_P521 = (1 << 521) - 1

NIST_CURVES: Final[Mapping[str, NistCurve]] = {
    "nistp256": NistCurve(
        p=_P256,
        b=0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        bits=256,
        size=32,
    ),
    "nistp384": NistCurve(
        p=_P384,
        b=int(
            "b3312fa7e23ee7e4988e056be3f82d19181d9c6efe814112"
            "0314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
            16,
        ),
        bits=384,
        size=48,
    ),
    "nistp521": NistCurve(
        p=_P521,
        b=int(
            "0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef1"
            "09e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b50"
            "3f00",
            16,
        ),
        bits=521,
        size=66,
    ),
}
"""The curves of RFC 5656 section 10.1 by their SSH names."""


def on_nist_curve(curve: NistCurve, point: bytes) -> bool:
    """Whether `point` is an uncompressed point of `curve` (and so, its cofactor being 1, usable).

    Args:
        curve: one of `NIST_CURVES`.
        point: 0x04, x, y; `1 + 2 * curve.size` bytes.
    """
    size = curve.size
    if len(point) != 1 + 2 * size or point[0] != UNCOMPRESSED:
        return False
    x = int.from_bytes(point[1 : 1 + size], "big")
    y = int.from_bytes(point[1 + size :], "big")
    p = curve.p
    return x < p and y < p and (y * y - (x * x - 3) * x - curve.b) % p == 0


_P256_B: Final = NIST_CURVES["nistp256"].b


def on_p256(xy: bytes) -> bool:
    """`on_nist_curve` for P-256 alone, for 100,000-line files: x then y, 64 bytes, unchecked."""
    x = int.from_bytes(xy[:32], "big")
    y = int.from_bytes(xy[32:], "big")
    return x < _P256 and y < _P256 and (y * y - (x * x - 3) * x - _P256_B) % _P256 == 0


_P25519: Final = (1 << 255) - 19
_EDWARDS_D: Final = -121665 * pow(121666, -1, _P25519) % _P25519


def on_ed25519_curve(point: bytes) -> bool:
    """Whether 32 bytes decode to a point of edwards25519 (RFC 8032 section 5.1.3).

    The square root itself is not needed, only that it exists: x² = (y² - 1) / (d y² + 1), and
    the quotient is a square exactly when the product is. This costs one modular power, 0.1 ms.
    """
    if len(point) != 32:
        return False
    number = int.from_bytes(point, "little")
    x_is_odd, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P25519:
        return False
    numerator = (y * y - 1) % _P25519
    if numerator == 0:
        return not x_is_odd  # x is 0, which has no odd twin
    # d is not a square, so d y² + 1 is never 0 and Euler's criterion gives 1 or -1.
    product = numerator * (_EDWARDS_D * y * y + 1) % _P25519
    return pow(product, (_P25519 - 1) // 2, _P25519) == 1


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Ed25519Public:
    """string "ssh-ed25519", string point (32 bytes). Source: RFC 8709 section 4."""

    point: bytes

    type_name: ClassVar[str] = "ssh-ed25519"
    short_type: ClassVar[str] = "ED25519"
    bits: ClassVar[int] = 256

    def blob(self) -> bytes:
        """The wire form, which fingerprints and signatures refer to."""
        return wire.text(self.type_name) + wire.string(self.point)


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class MlDsaEd25519Public:
    """string type, string points (an ML-DSA-44 key of 1312 bytes, an Ed25519 point of 32).

    A signature is two, and both have to hold. OpenSSH 10.4 and 10.5 wrote the type with their own
    domain behind it; to 10.6 that is another type, so the name is kept. Source: OpenSSH's
    ssh-mldsa-eddsa.c, draft-miller-sshm-mldsa44-ed25519-composite-sigs.
    """

    points: bytes
    type_name: str = "ssh-mldsa44-ed25519"

    short_type: ClassVar[str] = "MLDSA44-ED25519"
    bits: ClassVar[int] = 512
    size: ClassVar[int] = 1312 + 32

    def blob(self) -> bytes:
        """The wire form, which fingerprints and signatures refer to."""
        return wire.text(self.type_name) + wire.string(self.points)


# Python 3.9 evaluates them
SkPublic = Union[SkEd25519Public, SkEcdsaPublic]  # noqa: UP007
PublicKey = Union[SkPublic, Ed25519Public, EcdsaPublic, RsaPublic, MlDsaEd25519Public]  # noqa: UP007
