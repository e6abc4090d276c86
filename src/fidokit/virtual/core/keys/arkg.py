"""ARKG-P256, the half that keeps the private seed: whoever has the public seed can make public keys
whose private keys the token alone can derive (draft-bradleylundberg-cfrg-arkg-10)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fidokit.types import CoseAlg

MAX_CONTEXT: Final = 64
HANDLE_LENGTH: Final = 81
_TAG: Final = 16

_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_INSTANCE: Final = b"ARKG-P256"
_KEM_INSTANCE: Final = b"ARKG-ECDH.ARKG-P256"

# Numbers that the drafts hold places with until IANA assigns them.
_KTY_ARKG_PUBLIC: Final = -65537
_ALG_ARKG_P256: Final = -65700
_ESP256: Final = -9

_BLOCK: Final = 64
_DIGEST: Final = 32
_UNIFORM: Final = 48  # bytes for a scalar whose bias is below 2^-128


def _hash_to_scalar(message: bytes, domain: bytes) -> int:
    """hash_to_field of RFC 9380 section 5.2, into P-256's scalars by expand_message_xmd."""
    suffix = domain + len(domain).to_bytes(1)
    seed = hashlib.sha256(bytes(_BLOCK) + message + _UNIFORM.to_bytes(2) + b"\0" + suffix).digest()
    first = hashlib.sha256(seed + b"\1" + suffix).digest()
    mixed = bytes(a ^ b for a, b in zip(seed, first, strict=True))
    second = hashlib.sha256(mixed + b"\2" + suffix).digest()
    return int.from_bytes((first + second)[:_UNIFORM]) % _ORDER


def _expand(shared: bytes, label: bytes) -> bytes:
    return HKDF(hashes.SHA256(), _DIGEST, None, label).derive(shared)


class Seed(NamedTuple):
    """The private seed.

    Args:
        blinding: what derived keys are offsets from.
        encapsulation: what opens the secrets that the offsets come from.
    """

    blinding: ec.EllipticCurvePrivateKey
    encapsulation: ec.EllipticCurvePrivateKey

    @classmethod
    def from_secret(cls, secret: bytes) -> Self:
        """The seed that a secret of 32 random bytes stands for."""
        scalars = (_hash_to_scalar(secret, b"fidokit " + part) for part in (b"BL", b"KEM"))
        return cls(*(ec.derive_private_key(scalar, ec.SECP256R1()) for scalar in scalars))

    def cose(self) -> Mapping[int, Any]:
        """The public seed; keys derived from it verify as ESP256."""
        return {
            1: _KTY_ARKG_PUBLIC,
            3: _ALG_ARKG_P256,
            -1: _point(self.blinding),
            -2: _point(self.encapsulation),
            -3: _ESP256,
        }

    def derive(self, handle: bytes, context: bytes) -> ec.EllipticCurvePrivateKey | None:
        """The private key to a public key that was derived from the public seed.

        Args:
            handle: 16 bytes of HMAC, then an uncompressed point, as made with the public key.
            context: at most 64 bytes, the same as then.

        Returns:
            None where this seed, handle and context do not belong together.
        """
        if len(handle) != HANDLE_LENGTH or len(context) > MAX_CONTEXT:
            return None
        sized = len(context).to_bytes(1) + context
        secret = self._open(handle, b"ARKG-Derive-Key-KEM." + sized)
        if secret is None:
            return None
        domain = b"ARKG-BL-EC." + _INSTANCE + b"ARKG-Derive-Key-BL." + sized
        offset = _hash_to_scalar(secret, domain)
        scalar = (self.blinding.private_numbers().private_value + offset) % _ORDER
        return ec.derive_private_key(scalar, ec.SECP256R1()) if scalar else None

    def _open(self, handle: bytes, context: bytes) -> bytes | None:
        """KEM-Decaps: the secret inside a handle, or None where its tag is wrong."""
        tag, point = handle[:_TAG], handle[_TAG:]
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError:  # not a point of the curve
            return None
        shared = self.encapsulation.exchange(ec.ECDH(), peer)
        key = _expand(shared, b"ARKG-KEM-HMAC-mac." + _KEM_INSTANCE + context)
        if not hmac.compare_digest(hmac.digest(key, point, "sha256")[:_TAG], tag):
            return None
        return _expand(shared, b"ARKG-KEM-HMAC-shared." + _KEM_INSTANCE + context)


def _point(key: ec.EllipticCurvePrivateKey) -> Mapping[int, Any]:
    numbers = key.public_key().public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    return {1: 2, 3: CoseAlg.ES256.value, -1: 1, -2: x, -3: y}
