"""ML-DSA keys (FIPS 204): COSE key type AKP (RFC 9964)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives.asymmetric import mldsa

from fidokit.types import CoseAlg
from fidokit.virtual.core.keys.private import CoseKey

_AKP = 7

SECRET_SIZE = 32
"""Bytes of the seed that a key is expanded from (FIPS 204 section 3.6.1), at every strength."""

_Key = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey

LOADERS: Mapping[CoseAlg, Callable[[bytes], _Key]] = MappingProxyType(
    {
        CoseAlg.ML_DSA_44: mldsa.MLDSA44PrivateKey.from_seed_bytes,
        CoseAlg.ML_DSA_65: mldsa.MLDSA65PrivateKey.from_seed_bytes,
        CoseAlg.ML_DSA_87: mldsa.MLDSA87PrivateKey.from_seed_bytes,
    }
)


class MlDsaKey:
    """A key of one of the three strengths.

    Args:
        alg: which of `LOADERS`.
        secret: the seed.
    """

    def __init__(self, alg: CoseAlg, secret: bytes) -> None:
        self._alg = alg
        self._key = LOADERS[alg](secret)

    def sign(self, message: bytes) -> bytes:
        """Pure ML-DSA with an empty context: 2420, 3309 or 4627 bytes, hedged with randomness."""
        return self._key.sign(message)

    def cose(self) -> CoseKey:
        """The public key is 1312, 1952 or 2592 bytes."""
        return {1: _AKP, 3: self._alg.value, -1: self._key.public_key().public_bytes_raw()}

    def u2f_point(self) -> None:
        """U2F knows P-256 alone."""
