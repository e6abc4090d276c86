"""PIN/UV auth protocols 1 and 2, the authenticator's half (CTAP 2.3 sections 6.5.6 and 6.5.7)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from fidokit.types import CoseAlg, CtapStatus
from fidokit.virtual.core.ports import CtapRejection, Rng
from fidokit.virtual.core.schema import BYTES, INT, Member, Record, check

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.ciphers import Cipher, modes

_BLOCK = 16
_ECDH_ES_HKDF_256 = -25
_HKDF_SALT = bytes(32)


class SharedSecret(NamedTuple):
    """Both keys that a protocol derives from one key agreement; protocol 1 has them equal."""

    mac_key: bytes
    aes_key: bytes


class PinProtocol(NamedTuple):
    """One protocol as data.

    Args:
        derive: ECDH x coordinate (32 bytes) to keys.
        mac_length: bytes of HMAC-SHA-256 that are sent.
        iv_length: bytes of random IV in front of a cipher text; 0 means a zero IV, not sent.
    """

    derive: Callable[[bytes], SharedSecret]
    mac_length: int
    iv_length: int

    def mac(self, key: bytes, message: bytes) -> bytes:
        """HMAC-SHA-256, cut to this protocol's length."""
        return hmac.digest(key, message, "sha256")[: self.mac_length]

    def encrypt(self, secret: SharedSecret, plain: bytes, rng: Rng) -> bytes:
        """AES-256-CBC without padding; `plain` is a multiple of 16 bytes."""
        iv = rng.bytes(self.iv_length)
        encryptor = self._cipher(secret, iv).encryptor()
        return iv + encryptor.update(plain) + encryptor.finalize()

    def decrypt(self, secret: SharedSecret, sealed: bytes) -> bytes | None:
        """The plain text, or None if the length cannot be right."""
        iv, body = sealed[: self.iv_length], sealed[self.iv_length :]
        if len(iv) != self.iv_length or not body or len(body) % _BLOCK:
            return None
        decryptor = self._cipher(secret, iv).decryptor()
        return decryptor.update(body) + decryptor.finalize()

    def _cipher(self, secret: SharedSecret, iv: bytes) -> Cipher[modes.CBC]:
        # Needed with a shared secret alone; see `keys.non_resident`.
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        return Cipher(algorithms.AES(secret.aes_key), modes.CBC(iv or bytes(_BLOCK)))


def _derive_one(x: bytes) -> SharedSecret:
    key = hashlib.sha256(x).digest()
    return SharedSecret(key, key)


def hkdf(key: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-SHA-256 (RFC 5869) with a salt of 32 zero bytes, as CTAP has it everywhere.

    Args:
        key: the input keying material.
        info: what the output is for.
        length: of the output, at most 32 bytes: one block.
    """
    extracted = hmac.digest(_HKDF_SALT, key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")[:length]


def _derive_two(x: bytes) -> SharedSecret:
    return SharedSecret(hkdf(x, b"CTAP2 HMAC key"), hkdf(x, b"CTAP2 AES key"))


PROTOCOLS: Mapping[int, PinProtocol] = {
    1: PinProtocol(_derive_one, mac_length=16, iv_length=0),
    2: PinProtocol(_derive_two, mac_length=32, iv_length=16),
}


def verify(protocol: int, key: bytes, message: bytes, param: bytes) -> bool:
    """Whether `param` is the protocol's MAC; the time taken does not depend on where it differs.

    Args:
        protocol: 1 or 2.
        key: a pinUvAuthToken or a shared secret's MAC key, 32 bytes.
        message: what was authenticated.
        param: from the platform, of any length.
    """
    return hmac.compare_digest(PROTOCOLS[protocol].mac(key, message), param)


COSE_KEY = Record(
    {
        1: Member("kty", INT, True),
        3: Member("alg", INT, True),
        -1: Member("crv", INT, True),
        -2: Member("x", BYTES, True),
        -3: Member("y", BYTES, True),
    }
)
"""The platform's key-agreement key, as a nested record of a request."""

_ACCEPTED = {(2, 1, alg) for alg in (_ECDH_ES_HKDF_256, CoseAlg.ES256.value)}


def _platform_key(cose: Mapping[int, Any]) -> ec.EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    key = check(COSE_KEY, cose)
    x, y = key["x"], key["y"]
    if (key["kty"], key["crv"], key["alg"]) not in _ACCEPTED or len(x) != 32 or len(y) != 32:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
    )
    try:
        return numbers.public_key()
    except ValueError:  # not a point of the curve
        raise CtapRejection(CtapStatus.INVALID_PARAMETER) from None


class KeyAgreement:
    """The authenticator's ephemeral key of one protocol."""

    def __init__(self, protocol: int, rng: Rng) -> None:
        # Keys take long to import; see `context`.
        from fidokit.virtual.core.keys.algorithms import p256_private_key

        self._protocol = PROTOCOLS[protocol]
        self._private = p256_private_key(rng)

    def public(self) -> dict[int, int | bytes]:
        """The COSE key of getKeyAgreement, exactly the five members of PIN-04."""
        point = self._private.public_key().public_numbers()
        return {
            1: 2,
            3: _ECDH_ES_HKDF_256,
            -1: 1,
            -2: point.x.to_bytes(32, "big"),
            -3: point.y.to_bytes(32, "big"),
        }

    def agree(self, platform: Mapping[int, Any]) -> SharedSecret:
        """The shared secret with a platform's COSE key.

        Raises:
            CtapRejection: INVALID_PARAMETER for a key that is none, MISSING_PARAMETER.
        """
        from cryptography.hazmat.primitives.asymmetric import ec

        return self._protocol.derive(self._private.exchange(ec.ECDH(), _platform_key(platform)))
