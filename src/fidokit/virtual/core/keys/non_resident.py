"""Non-resident credentials, of which the token keeps nothing (CTAP 2.3 section 6.1.2).

The id of a wrapped credential carries the sealed key. On models whose ids are too short for that, a
derived credential's id names a key that follows from the token's own secret.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag

from fidokit.types import CoseAlg, CredentialId, CredProtect
from fidokit.virtual.core.keys.algorithms import ALGORITHMS, RSA_PADDINGS
from fidokit.virtual.core.ports import Rng

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = b"\x01"
_GCM_NONCE = 12
_GCM_TAG = 16
_WRAPPED_HEAD = struct.Struct(">iB")  # COSE algorithm; credProtect and flags
_PAYMENT = 0x80
_LEVEL = 0x03
_SHORTEST_WRAPPED = len(_VERSION) + _GCM_NONCE + _WRAPPED_HEAD.size + _GCM_TAG


def wrapped_length(secret_size: int) -> int:
    """Bytes of a credential id that carries a secret of so many bytes.

    It is 66 for P-256, Ed25519 and ML-DSA, 82 for P-384, 91 for Ed448, 100 for P-521, and 290 for
    RSA, whose keys follow from nothing shorter than their primes.
    """
    return _SHORTEST_WRAPPED + secret_size


@dataclass(frozen=True, slots=True)
class WrappedCredential:
    """What a wrapped credential id holds.

    Args:
        id: the id itself; see `wrapped_length`.
        rp_id_hash: the relying party it is bound to, or a U2F application parameter.
        alg: its algorithm.
        secret: as `StoredCredential.secret`.
        cred_protect: its level.
        third_party_payment: as `StoredCredential.third_party_payment`.
    """

    id: CredentialId
    rp_id_hash: bytes
    alg: CoseAlg
    secret: bytes = field(repr=False)
    cred_protect: CredProtect
    third_party_payment: bool = False


class Wrapper:
    """Seals and opens credential ids with AES-256-GCM.

    The id is version 01, nonce (12), then the sealed i32 algorithm, a byte and the secret, then the
    tag (16). The byte holds credProtect, and 80 for thirdPartyPayment. Version and rpIdHash are
    authenticated, so an id opens for its RP alone.

    Args:
        key: 32 bytes; a new one (reset) makes every older id a stranger.
        rng: for nonces.
    """

    def __init__(self, key: bytes, rng: Rng) -> None:
        self._key = key
        self._rng = rng

    @cached_property
    def _cipher(self) -> AESGCM:
        # Ciphers take 8 ms to import, for which a token that tells of itself alone has no use.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._key)

    def wrap(
        self,
        rp_id_hash: bytes,
        alg: CoseAlg,
        secret: bytes,
        cred_protect: CredProtect,
        *,
        third_party_payment: bool = False,
    ) -> WrappedCredential:
        """A new non-resident credential."""
        nonce = self._rng.bytes(_GCM_NONCE)
        flags = cred_protect | (_PAYMENT if third_party_payment else 0)
        body = _WRAPPED_HEAD.pack(alg, flags) + secret
        sealed = self._cipher.encrypt(nonce, body, _VERSION + rp_id_hash)
        credential_id = CredentialId(_VERSION + nonce + sealed)
        return WrappedCredential(
            credential_id, rp_id_hash, alg, secret, cred_protect, third_party_payment
        )

    def unwrap(self, rp_id_hash: bytes, credential_id: bytes) -> WrappedCredential | None:
        """The credential, or None for an id that this token did not make for this RP."""
        if len(credential_id) < _SHORTEST_WRAPPED or credential_id[:1] != _VERSION:
            return None
        nonce, sealed = credential_id[1 : 1 + _GCM_NONCE], credential_id[1 + _GCM_NONCE :]
        try:
            body = self._cipher.decrypt(nonce, sealed, _VERSION + rp_id_hash)
        except InvalidTag:
            return None
        alg, flags = _WRAPPED_HEAD.unpack_from(body)
        return WrappedCredential(
            CredentialId(credential_id),
            rp_id_hash,
            CoseAlg(alg),
            body[_WRAPPED_HEAD.size :],
            CredProtect(flags & _LEVEL),
            bool(flags & _PAYMENT),
        )


_DERIVED_HEAD = struct.Struct(">hB")  # COSE algorithm; credProtect and flags
_SHORTEST_DERIVED = 16
_LONGEST_DERIVED = 32
_MAC_TAG = 16
_SHORT_MAC_TAG = 8


def derivable(alg: CoseAlg) -> bool:
    """Whether keys of this algorithm follow from random bytes; RSA's come from a search."""
    return alg not in RSA_PADDINGS


class Deriver:
    """Makes ids of 16 to 32 bytes, and the credentials behind them.

    The id is i16 algorithm, a byte as in a wrapped id, a nonce, and a tag over all that and the
    rpIdHash: 16 bytes of HMAC-SHA-256 in an id of 32 bytes, 8 in a shorter one. The key's secret is
    drawn from HMAC-SHA-256 over the same in counter mode.

    Args:
        key: 32 bytes, as for `Wrapper`.
        rng: for nonces.
    """

    def __init__(self, key: bytes, rng: Rng) -> None:
        self._tag_key = hmac.digest(key, b"tag of a derived id", "sha256")
        self._secret_key = hmac.digest(key, b"secret of a derived id", "sha256")
        self._rng = rng

    def make(
        self,
        rp_id_hash: bytes,
        alg: CoseAlg,
        cred_protect: CredProtect,
        *,
        longest: int,
        third_party_payment: bool = False,
    ) -> WrappedCredential:
        """A new credential.

        Args:
            rp_id_hash: 32 bytes.
            alg: a derivable one.
            cred_protect: its level.
            longest: of its id, 16 bytes or more.
            third_party_payment: as `StoredCredential.third_party_payment`.
        """
        length = min(longest, _LONGEST_DERIVED)
        head = _DERIVED_HEAD.pack(alg, cred_protect | (_PAYMENT if third_party_payment else 0))
        body = head + self._rng.bytes(length - len(head) - _tag_length(length))
        return self._behind(rp_id_hash, body, body + self._tag(rp_id_hash, body, length))

    def find(self, rp_id_hash: bytes, credential_id: bytes) -> WrappedCredential | None:
        """The credential, or None for an id that this token did not make for this RP."""
        length = len(credential_id)
        if not _SHORTEST_DERIVED <= length <= _LONGEST_DERIVED:
            return None
        body = credential_id[: -_tag_length(length)]
        tag = self._tag(rp_id_hash, body, length)
        if not hmac.compare_digest(tag, credential_id[len(body) :]):
            return None
        return self._behind(rp_id_hash, body, credential_id)

    def _tag(self, rp_id_hash: bytes, body: bytes, length: int) -> bytes:
        # with the length, lest a long id cut short is one of those with a short tag
        covered = length.to_bytes(1) + rp_id_hash + body
        return hmac.digest(self._tag_key, covered, "sha256")[: _tag_length(length)]

    def _behind(self, rp_id_hash: bytes, body: bytes, credential_id: bytes) -> WrappedCredential:
        number, flags = _DERIVED_HEAD.unpack_from(body)
        alg = CoseAlg(number)
        seed = hmac.digest(self._secret_key, rp_id_hash + body, "sha256")
        return WrappedCredential(
            CredentialId(credential_id),
            rp_id_hash,
            alg,
            ALGORITHMS[alg].new_secret(_Stream(seed)),
            CredProtect(flags & _LEVEL),
            bool(flags & _PAYMENT),
        )


def _tag_length(id_length: int) -> int:
    return _MAC_TAG if id_length == _LONGEST_DERIVED else _SHORT_MAC_TAG


class _Stream:
    """Bytes that follow from a seed: HMAC-SHA-256 of a counter, block by block."""

    repeatable = True

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._block = 0

    def bytes(self, count: int) -> bytes:
        """The next `count` bytes, from whole blocks."""
        drawn = b""
        while len(drawn) < count:
            drawn += hmac.digest(self._seed, self._block.to_bytes(4), "sha256")
            self._block += 1
        return drawn[:count]
