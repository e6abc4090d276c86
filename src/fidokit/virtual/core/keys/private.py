"""What a private key of any algorithm is; and elliptic-curve keys made of the injected randomness
alone, so that a seeded token repeats itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from fidokit.virtual.core.ports import Rng

CoseKey = Mapping[int, "int | bytes"]

_P256 = ec.SECP256R1()


class PrivateKey(Protocol):
    """A loaded private key."""

    def sign(self, message: bytes) -> bytes:
        """The signature in the form that WebAuthn section 6.5.5 gives this algorithm."""
        ...

    def cose(self) -> CoseKey:
        """The public half with exactly the members its key type has (MC-35)."""
        ...

    def u2f_point(self) -> bytes | None:
        """The public half as 04 x y (65 bytes), or None where U2F has no form for it."""
        ...


def coordinate_size(curve: ec.EllipticCurve) -> int:
    """Bytes of a scalar, and of a coordinate."""
    return (curve.key_size + 7) // 8


def ec_scalar(curve: ec.EllipticCurve, rng: Rng) -> bytes:
    """A uniform private scalar, `coordinate_size` bytes, big-endian.

    Values outside 1..n-1 are drawn again; a reduction modulo n would favor small ones.
    """
    size = coordinate_size(curve)
    surplus = 8 * size - curve.key_size
    while True:
        scalar = int.from_bytes(rng.bytes(size), "big") >> surplus
        if 0 < scalar < curve.group_order:
            return scalar.to_bytes(size, "big")


def p256_scalar(rng: Rng) -> bytes:
    """The same for P-256: 32 bytes."""
    return ec_scalar(_P256, rng)


def p256_from_scalar(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of a scalar that `p256_scalar` made."""
    return ec.derive_private_key(int.from_bytes(scalar, "big"), _P256)


def p256_private_key(rng: Rng) -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return p256_from_scalar(p256_scalar(rng))
