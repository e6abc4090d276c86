"""RSA keys in no time: searching for primes costs a tenth of a second, and is OpenSSL's work.

The primes are in a file that everybody can read, so they are fit for a fuzzer's tokens alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import rsa

from fidokit.virtual.core.keys import algorithms as rsa_keys

_EXPONENT = 65537
_PRIME = rsa_keys.RSA_SECRET // 2


def _private_key(secret: bytes) -> rsa.RSAPrivateKey:
    p, q = (int.from_bytes(secret[at : at + _PRIME]) for at in (0, _PRIME))
    d = rsa.rsa_recover_private_exponent(_EXPONENT, p, q)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(
        p, q, d, *crt, rsa.RSAPublicNumbers(_EXPONENT, p * q)
    ).private_key()


_TEXT = Path(__file__).with_name("rsa_primes.txt").read_text(encoding="ascii")
_KEYS = tuple(_private_key(bytes.fromhex(block)) for block in _TEXT.split("\n\n"))


@contextmanager
def known_rsa_keys() -> Iterator[None]:
    """Meanwhile OpenSSL finds the same few keys, in the same order each time."""
    keys = itertools.cycle(_KEYS)

    def generate(exponent: int, bits: int, *_: Any) -> rsa.RSAPrivateKey:
        assert (exponent, bits) == (_EXPONENT, 16 * _PRIME)
        return next(keys)

    with patch.object(rsa, "generate_private_key", generate):
        yield
