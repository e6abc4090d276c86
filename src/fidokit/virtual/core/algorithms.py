"""Credential key algorithms: a table from COSE number to what makes, loads and signs.

A credential stores only its secret (32 bytes for these); everything else follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from fidokit.types import CoseAlg
from fidokit.virtual.core.ports import Rng
from fidokit.virtual.core.private_keys import p256_from_scalar, p256_scalar

CoseKey = Mapping[int, "int | bytes"]

_ES256_SIGNING = ec.ECDSA(hashes.SHA256())


class PrivateKey(Protocol):
    """A loaded private key."""

    def sign(self, message: bytes) -> bytes:
        """The signature in the form CTAP carries: DER for ECDSA, 64 bytes for EdDSA."""
        ...

    def cose(self) -> CoseKey:
        """The public half with exactly the members its key type has (MC-35)."""
        ...

    def u2f_point(self) -> bytes | None:
        """The public half as 04 x y (65 bytes), or None where U2F has no form for it."""
        ...


class P256Key:
    """ES256."""

    def __init__(self, secret: bytes) -> None:
        self._key = p256_from_scalar(secret)

    def sign(self, message: bytes) -> bytes:
        """ECDSA with SHA-256, DER."""
        return self._key.sign(message, _ES256_SIGNING)

    def cose(self) -> CoseKey:
        """EC2 key on P-256."""
        point = self._key.public_key().public_numbers()
        x, y = point.x.to_bytes(32, "big"), point.y.to_bytes(32, "big")
        return {1: 2, 3: CoseAlg.ES256.value, -1: 1, -2: x, -3: y}

    def u2f_point(self) -> bytes:
        """Uncompressed point."""
        cose = self.cose()
        return b"\x04" + bytes(cose[-2]) + bytes(cose[-3])


class Ed25519Key:
    """EdDSA over Ed25519."""

    def __init__(self, secret: bytes) -> None:
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(secret)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def cose(self) -> CoseKey:
        """OKP key on Ed25519."""
        x = self._key.public_key().public_bytes_raw()
        return {1: 1, 3: CoseAlg.EDDSA.value, -1: 6, -2: x}

    def u2f_point(self) -> None:
        """U2F knows P-256 alone."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """How one algorithm's keys come to be.

    Args:
        new_secret: draws the secret of a fresh key.
        load: makes the key of a secret.
    """

    new_secret: Callable[[Rng], bytes]
    load: Callable[[bytes], PrivateKey]


def _seed(rng: Rng) -> bytes:
    return rng.bytes(32)


ALGORITHMS: Mapping[CoseAlg, Algorithm] = MappingProxyType(
    {
        CoseAlg.ES256: Algorithm(p256_scalar, P256Key),
        CoseAlg.EDDSA: Algorithm(_seed, Ed25519Key),
    }
)
