"""PIN/UV auth protocols one and two (CTAP 2.3 sections 6.5.6 and 6.5.7): the platform's side.

Only composition: the primitives are those of `cryptography`. python-fido2 has the same, behind
imports that cost more than a whole command. The authenticator's side is `virtual`'s own.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from fidokit.client.answer import rubbish

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

BLOCK: Final = 16
_IV: Final = bytes(BLOCK)
_SALT: Final = bytes(32)
_COORDINATE: Final = 32
_EC2, _ECDH_ES_HKDF_256, _P256 = 2, -25, 1
"""COSE numbers of a key agreement key (section 6.5.5.4)."""
_X, _Y = -2, -3
Cose = dict[int, object]


class PinProtocolOne:
    """Protocol one: the shared secret is one key, and there is no initialization vector."""

    tag_size = 16
    token_sizes: tuple[int, ...] = (16, 32)

    def encapsulate(self, peer: Mapping[object, object]) -> tuple[Cose, bytes]:
        """Our key for the token, and the secret shared with it.

        Args:
            peer: the token's COSE key.

        Raises:
            ValueError: it is not a point on P-256.
        """
        from cryptography.hazmat.primitives.asymmetric import ec

        own = ec.generate_private_key(ec.SECP256R1())
        numbers = own.public_key().public_numbers()
        key: Cose = {1: _EC2, 3: _ECDH_ES_HKDF_256, -1: _P256}
        key |= {_X: numbers.x.to_bytes(_COORDINATE), _Y: numbers.y.to_bytes(_COORDINATE)}
        return key, self._derived(own.exchange(ec.ECDH(), _point(peer)))

    def _derived(self, z: bytes) -> bytes:
        return hashlib.sha256(z).digest()

    def encrypt(self, key: bytes, plain: bytes) -> bytes:
        """AES-256-CBC of a multiple of 16 bytes."""
        return _aes(key, _IV, plain, encrypt=True)

    def decrypt(self, key: bytes, encrypted: bytes) -> bytes:
        """The plain text. Raises ValueError for a length that cannot be."""
        return _aes(key, _IV, encrypted, encrypt=False)

    def authenticate(self, key: bytes, message: bytes) -> bytes:
        """HMAC-SHA-256, cut to 16 bytes."""
        return hmac.digest(key, message, "sha256")[: self.tag_size]

    def validate_token(self, token: bytes) -> bytes:
        """The pinUvAuthToken, if its length can be. Raises ValueError."""
        if len(token) not in self.token_sizes:
            raise ValueError(f"a pinUvAuthToken of {len(token)} bytes")
        return token


class PinProtocolTwo(PinProtocolOne):
    """Protocol two: one key for HMAC and one for AES, and an initialization vector in front."""

    tag_size = 32
    token_sizes = (32,)

    def _derived(self, z: bytes) -> bytes:
        return _hkdf(z, b"CTAP2 HMAC key") + _hkdf(z, b"CTAP2 AES key")

    def encrypt(self, key: bytes, plain: bytes) -> bytes:
        """A random initialization vector, then AES-256-CBC under the second half of the key."""
        vector = os.urandom(BLOCK)
        return vector + _aes(key[32:], vector, plain, encrypt=True)

    def decrypt(self, key: bytes, encrypted: bytes) -> bytes:
        """The plain text. Raises ValueError for a length that cannot be."""
        if len(encrypted) < BLOCK:
            raise ValueError(f"{len(encrypted)} bytes have no initialization vector")
        return _aes(key[32:], encrypted[:BLOCK], encrypted[BLOCK:], encrypt=False)

    def authenticate(self, key: bytes, message: bytes) -> bytes:
        """HMAC-SHA-256 under the first half of a shared secret, or under a whole token."""
        return hmac.digest(key[:32], message, "sha256")


def _point(peer: Mapping[object, object]) -> EllipticCurvePublicKey:
    from cryptography.hazmat.primitives.asymmetric import ec

    x, y = peer.get(_X), peer.get(_Y)
    if not isinstance(x, bytes) or not isinstance(y, bytes) or {len(x), len(y)} != {_COORDINATE}:
        raise ValueError("a key without two coordinates of 32 bytes")
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + y)


def _hkdf(z: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length=32, salt=_SALT, info=info).derive(z)


def _aes(key: bytes, vector: bytes, data: bytes, *, encrypt: bool) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    cipher = Cipher(AES256(key), CBC(vector))
    worker = cipher.encryptor() if encrypt else cipher.decryptor()
    return worker.update(data) + worker.finalize()


# --- secrets shared with one token ------------------------------------------------------------


class Secret:
    """A secret shared with one token for one exchange about the PIN (CTAP 2.1 section 6.5.5).

    Args:
        version: the PIN/UV auth protocol, 1 or 2.
        peer: the token's COSE key from getKeyAgreement.

    Raises:
        TokenMisbehaved: the token's key is not a point on P-256.
    """

    def __init__(self, version: int, peer: Mapping[object, object]) -> None:
        self.version = version
        self._protocol = _protocol(version)
        with _blaming_the_token():
            self.key_agreement, self._key = self._protocol.encapsulate(peer)

    def encrypt(self, plain: bytes) -> bytes:
        """Encrypt a multiple of 16 bytes."""
        return self._protocol.encrypt(self._key, plain)

    def decrypt(self, encrypted: bytes) -> bytes:
        """The plain text of what the token encrypted.

        Raises:
            TokenMisbehaved: it has a length that the protocol does not allow.
        """
        with _blaming_the_token():
            return self._protocol.decrypt(self._key, encrypted)

    def authenticate(self, message: bytes) -> bytes:
        """The MAC of `message` under the shared secret."""
        return self._protocol.authenticate(self._key, message)

    def open_token(self, encrypted: bytes) -> bytes:
        """The pinUvAuthToken inside `encrypted`.

        Raises:
            TokenMisbehaved: it has a length that the protocol does not allow.
        """
        with _blaming_the_token():
            plain = self._protocol.decrypt(self._key, encrypted)
            return self._protocol.validate_token(plain)


def authenticate(version: int, token: bytes, message: bytes) -> bytes:
    """pinUvAuthParam of `message` under a pinUvAuthToken."""
    return _protocol(version).authenticate(token, message)


def _protocol(version: int) -> PinProtocolOne:
    return PinProtocolTwo() if version == 2 else PinProtocolOne()


@contextmanager
def _blaming_the_token() -> Iterator[None]:
    """Nothing but the token's own values goes in: what cannot be is its doing."""
    try:
        yield
    except ValueError as error:
        raise rubbish(f"what it sent for the PIN cannot be ({error})") from None
