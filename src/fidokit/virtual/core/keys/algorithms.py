"""Credential key algorithms: a table from COSE number to what makes and loads their keys.

A credential stores only its secret; everything else follows from it. Secrets are short, so that a
wrapped credential, which carries its secret in its id, has an id of bounded size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from fidokit.types import CoseAlg
from fidokit.virtual.core.keys import ec, ml_dsa, okp, rsa
from fidokit.virtual.core.keys.private import CoseKey, PrivateKey, coordinate_size, ec_scalar
from fidokit.virtual.core.ports import Rng

__all__ = ["ALGORITHMS", "Algorithm", "CoseKey", "PrivateKey"]


class Algorithm(NamedTuple):
    """How one algorithm's keys come to be.

    Args:
        secret_size: bytes of a secret.
        new_secret: draws the secret of a fresh key.
        load: makes the key of a secret; its signatures repeat themselves where the algorithm
            knows how.
        load_faster: the same without that, where it makes a difference.
    """

    secret_size: int
    new_secret: Callable[[Rng], bytes]
    load: Callable[[bytes], PrivateKey]
    load_faster: Callable[[bytes], PrivateKey] | None = None

    def key(self, secret: bytes, rng: Rng) -> PrivateKey:
        """The key of a secret, for a token with this randomness."""
        return (self.load if rng.repeatable else self.load_faster or self.load)(secret)


def _ec(form: ec.EcForm) -> Algorithm:
    return Algorithm(
        coordinate_size(form.curve),
        partial(ec_scalar, form.curve),
        partial(ec.EcKey, form),
        partial(ec.EcKey, form, repeatable=False),
    )


def _of_any_bytes(size: int, load: Callable[[bytes], PrivateKey]) -> Algorithm:
    return Algorithm(size, lambda rng: rng.bytes(size), load)


ALGORITHMS: Mapping[CoseAlg, Algorithm] = MappingProxyType(
    {
        **{alg: _ec(form) for alg, form in ec.FORMS.items()},
        **{
            alg: _of_any_bytes(form.size, partial(okp.OkpKey, form))
            for alg, form in okp.FORMS.items()
        },
        **{
            alg: _of_any_bytes(ml_dsa.SECRET_SIZE, partial(ml_dsa.MlDsaKey, alg))
            for alg in ml_dsa.LOADERS
        },
        **{
            alg: Algorithm(rsa.SECRET_SIZE, rsa.new_secret, partial(rsa.RsaKey, alg))
            for alg in rsa.PADDINGS
        },
    }
)
"""From 32 bytes of secret (P-256, Ed25519, ML-DSA) to 256 (RSA); see `wrapped` for ids."""
