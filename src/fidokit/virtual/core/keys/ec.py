"""Keys on short Weierstrass curves: COSE key type EC2 (RFC 9053, RFC 8812, RFC 9864)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fidokit.types import CoseAlg
from fidokit.virtual.core.keys.private import CoseKey, coordinate_size

_EC2 = 2


class EcForm(NamedTuple):
    """One algorithm on one curve.

    Args:
        alg: the COSE number that its keys carry.
        curve: where the points lie.
        cose_curve: the curve's COSE number.
        signing: how messages are hashed and signed, with fresh nonces.
        repeatable: the same with the nonces of RFC 6979.
    """

    alg: CoseAlg
    curve: ec.EllipticCurve
    cose_curve: int
    signing: ec.ECDSA
    repeatable: ec.ECDSA


def _form(
    alg: CoseAlg, curve: ec.EllipticCurve, cose_curve: int, digest: hashes.HashAlgorithm
) -> EcForm:
    repeatable = ec.ECDSA(digest, deterministic_signing=True)
    return EcForm(alg, curve, cose_curve, ec.ECDSA(digest), repeatable)


FORMS: Mapping[CoseAlg, EcForm] = MappingProxyType(
    {
        form.alg: form
        for form in (
            _form(CoseAlg.ES256, ec.SECP256R1(), 1, hashes.SHA256()),
            _form(CoseAlg.ESP256, ec.SECP256R1(), 1, hashes.SHA256()),
            _form(CoseAlg.ES384, ec.SECP384R1(), 2, hashes.SHA384()),
            _form(CoseAlg.ESP384, ec.SECP384R1(), 2, hashes.SHA384()),
            _form(CoseAlg.ES512, ec.SECP521R1(), 3, hashes.SHA512()),
            _form(CoseAlg.ESP512, ec.SECP521R1(), 3, hashes.SHA512()),
            _form(CoseAlg.ES256K, ec.SECP256K1(), 8, hashes.SHA256()),
        )
    }
)
"""COSE leaves the curve of ES384 and ES512 open; WebAuthn section 5.8.5 fixes it."""


class EcKey:
    """A key of one of `FORMS`.

    Args:
        form: its algorithm.
        secret: the private scalar, as long as a coordinate.
        repeatable: whether the same message gets the same signature; that takes 11% longer.
    """

    def __init__(self, form: EcForm, secret: bytes, *, repeatable: bool = True) -> None:
        self._form = form
        self._key = ec.derive_private_key(int.from_bytes(secret, "big"), form.curve)
        self._signing = form.repeatable if repeatable else form.signing

    def sign(self, message: bytes) -> bytes:
        """ECDSA, DER."""
        return self._key.sign(message, self._signing)

    def cose(self) -> CoseKey:
        """Coordinates have the curve's size, with leading zeros."""
        size = coordinate_size(self._form.curve)
        point = self._point()
        x, y = point[1 : 1 + size], point[1 + size :]
        return {1: _EC2, 3: self._form.alg.value, -1: self._form.cose_curve, -2: x, -3: y}

    def u2f_point(self) -> bytes | None:
        """U2F knows ES256 alone."""
        return self._point() if self._form.alg is CoseAlg.ES256 else None

    def _point(self) -> bytes:
        """04 x y."""
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
