"""Non-resident credentials of models whose ids are too short to carry a key: the id names a key
that follows from the token's own secret, so that still nothing is kept (CTAP 2.3 section 6.1.2)."""

from __future__ import annotations

import hmac
import struct

from fidokit.types import CoseAlg, CredentialId, CredProtect
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.keys.rsa import PADDINGS
from fidokit.virtual.core.keys.wrapped import WrappedCredential
from fidokit.virtual.core.ports import Rng

_HEAD = struct.Struct(">hB")  # COSE algorithm; credProtect and flags
_PAYMENT = 0x80
_LEVEL = 0x03
_SHORTEST = 16
_LONGEST = 32
_TAG = 16
_SHORT_TAG = 8


def derivable(alg: CoseAlg) -> bool:
    """Whether keys of this algorithm follow from random bytes; RSA's come from a search."""
    return alg not in PADDINGS


class Deriver:
    """Makes ids of 16 to 32 bytes, and the credentials behind them.

    The id is i16 algorithm, a byte as in a wrapped id, a nonce, and a tag over all that and the
    rpIdHash: 16 bytes of HMAC-SHA-256 in an id of 32 bytes, 8 in a shorter one. The key's secret is
    drawn from HMAC-SHA-256 over the same in counter mode.

    Args:
        key: 32 bytes, as for `wrapped.Wrapper`.
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
        length = min(longest, _LONGEST)
        head = _HEAD.pack(alg, cred_protect | (_PAYMENT if third_party_payment else 0))
        body = head + self._rng.bytes(length - len(head) - _tag_length(length))
        return self._behind(rp_id_hash, body, body + self._tag(rp_id_hash, body, length))

    def find(self, rp_id_hash: bytes, credential_id: bytes) -> WrappedCredential | None:
        """The credential, or None for an id that this token did not make for this RP."""
        length = len(credential_id)
        if not _SHORTEST <= length <= _LONGEST:
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
        number, flags = _HEAD.unpack_from(body)
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
    return _TAG if id_length == _LONGEST else _SHORT_TAG


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
