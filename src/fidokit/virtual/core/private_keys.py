"""Private keys made of the injected randomness alone, so that a seeded token repeats itself."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from fidokit.virtual.core.ports import Rng

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def p256_scalar(rng: Rng) -> bytes:
    """A uniform P-256 private scalar, 32 bytes; values outside 1..n-1 are drawn again."""
    while True:
        scalar = rng.bytes(32)
        if 0 < int.from_bytes(scalar, "big") < _P256_ORDER:
            return scalar


def p256_from_scalar(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of a scalar that `p256_scalar` made."""
    return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())


def p256_private_key(rng: Rng) -> ec.EllipticCurvePrivateKey:
    """A fresh P-256 key."""
    return p256_from_scalar(p256_scalar(rng))
