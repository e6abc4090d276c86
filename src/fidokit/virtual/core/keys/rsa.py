"""RSA keys of 2048 bits: COSE key type RSA (RFC 8230, RFC 8812)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from fidokit.types import CoseAlg
from fidokit.virtual.core.keys.private import CoseKey
from fidokit.virtual.core.ports import Rng

_RSA = 3
_BITS = 2048
_EXPONENT = 65537
_PRIME = _BITS // 16

SECRET_SIZE = 2 * _PRIME
"""Bytes: both primes, from which everything else of a key follows."""

PADDINGS: Mapping[CoseAlg, padding.AsymmetricPadding] = MappingProxyType(
    {
        CoseAlg.RS256: padding.PKCS1v15(),
        CoseAlg.PS256: padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size),
    }
)


def new_secret(_rng: Rng) -> bytes:
    """Both primes of a fresh key, 128 bytes each.

    The search for primes is OpenSSL's, with its own randomness: a seeded token does not repeat its
    RSA keys.
    """
    numbers = rsa.generate_private_key(_EXPONENT, _BITS).private_numbers()
    return numbers.p.to_bytes(_PRIME, "big") + numbers.q.to_bytes(_PRIME, "big")


def _load(secret: bytes) -> rsa.RSAPrivateKey:
    p, q = (int.from_bytes(secret[at : at + _PRIME], "big") for at in (0, _PRIME))
    d = rsa.rsa_recover_private_exponent(_EXPONENT, p, q)
    numbers = rsa.RSAPrivateNumbers(
        p,
        q,
        d,
        rsa.rsa_crt_dmp1(d, p),
        rsa.rsa_crt_dmq1(d, q),
        rsa.rsa_crt_iqmp(p, q),
        rsa.RSAPublicNumbers(_EXPONENT, p * q),
    )
    # testing the primes again takes 28 ms of a load's 28.1, and they are our own
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


class RsaKey:
    """RS256 or PS256.

    Args:
        alg: which of `PADDINGS`.
        secret: from `new_secret`.
    """

    def __init__(self, alg: CoseAlg, secret: bytes) -> None:
        self._alg = alg
        self._key = _load(secret)

    def sign(self, message: bytes) -> bytes:
        """256 bytes; SHA-256, and in PSS for MGF1 and as salt length too."""
        return self._key.sign(message, PADDINGS[self._alg], hashes.SHA256())

    def cose(self) -> CoseKey:
        """Modulus and exponent without leading zeros (RFC 8230 section 4)."""
        public = self._key.public_key().public_numbers()
        n, e = (v.to_bytes((v.bit_length() + 7) // 8, "big") for v in (public.n, public.e))
        return {1: _RSA, 3: self._alg.value, -1: n, -2: e}

    def u2f_point(self) -> None:
        """U2F knows P-256 alone."""
