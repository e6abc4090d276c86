"""Keys on Edwards curves: COSE key type OKP (RFC 9053 section 2.2, RFC 9864)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import ed448, ed25519

from fidokit.types import CoseAlg
from fidokit.virtual.core.keys.private import CoseKey

_OKP = 1


class OkpForm(NamedTuple):
    """One algorithm on one curve.

    Args:
        alg: the COSE number that its keys carry.
        cose_curve: the curve's COSE number.
        size: bytes of a secret, and of a public point.
        load: makes the key of a secret.
    """

    alg: CoseAlg
    cose_curve: int
    size: int
    load: Callable[[bytes], ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey]


def _forms(*forms: OkpForm) -> Mapping[CoseAlg, OkpForm]:
    return MappingProxyType({form.alg: form for form in forms})


FORMS: Mapping[CoseAlg, OkpForm] = _forms(
    OkpForm(CoseAlg.EDDSA, 6, 32, ed25519.Ed25519PrivateKey.from_private_bytes),
    OkpForm(CoseAlg.ED25519, 6, 32, ed25519.Ed25519PrivateKey.from_private_bytes),
    OkpForm(CoseAlg.ED448, 7, 57, ed448.Ed448PrivateKey.from_private_bytes),
)
"""COSE leaves the curve of EdDSA open; WebAuthn section 5.8.5 fixes Ed25519."""


class OkpKey:
    """A key of one of `FORMS`.

    Args:
        form: its algorithm.
        secret: any bytes of the form's size.
    """

    def __init__(self, form: OkpForm, secret: bytes) -> None:
        self._form = form
        self._key = form.load(secret)

    def sign(self, message: bytes) -> bytes:
        """Pure EdDSA: 64 bytes, or 114 on Ed448."""
        return self._key.sign(message)

    def cose(self) -> CoseKey:
        """The point as RFC 8032 encodes it."""
        x = self._key.public_key().public_bytes_raw()
        return {1: _OKP, 3: self._form.alg.value, -1: self._form.cose_curve, -2: x}

    def u2f_point(self) -> None:
        """U2F knows P-256 alone."""
