"""Non-resident credentials: the token keeps nothing, the credential id carries the sealed key."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fidokit.types import CoseAlg, CredentialId, CredProtect
from fidokit.virtual.core.ports import Rng

_VERSION = b"\x01"
_NONCE = 12
_TAG = 16
_HEAD = struct.Struct(">iB")  # COSE algorithm; credProtect and flags
_PAYMENT = 0x80
_LEVEL = 0x03
_SHORTEST = len(_VERSION) + _NONCE + _HEAD.size + _TAG


def wrapped_length(secret_size: int) -> int:
    """Bytes of a credential id that carries a secret of so many bytes.

    It is 66 for P-256, Ed25519 and ML-DSA, 82 for P-384, 91 for Ed448, 100 for P-521, and 290 for
    RSA, whose keys follow from nothing shorter than their primes.
    """
    return _SHORTEST + secret_size


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
        self._cipher = AESGCM(key)
        self._rng = rng

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
        nonce = self._rng.bytes(_NONCE)
        flags = cred_protect | (_PAYMENT if third_party_payment else 0)
        body = _HEAD.pack(alg, flags) + secret
        sealed = self._cipher.encrypt(nonce, body, _VERSION + rp_id_hash)
        credential_id = CredentialId(_VERSION + nonce + sealed)
        return WrappedCredential(
            credential_id, rp_id_hash, alg, secret, cred_protect, third_party_payment
        )

    def unwrap(self, rp_id_hash: bytes, credential_id: bytes) -> WrappedCredential | None:
        """The credential, or None for an id that this token did not make for this RP."""
        if len(credential_id) < _SHORTEST or credential_id[:1] != _VERSION:
            return None
        nonce, sealed = credential_id[1 : 1 + _NONCE], credential_id[1 + _NONCE :]
        try:
            body = self._cipher.decrypt(nonce, sealed, _VERSION + rp_id_hash)
        except InvalidTag:
            return None
        alg, flags = _HEAD.unpack_from(body)
        return WrappedCredential(
            CredentialId(credential_id),
            rp_id_hash,
            CoseAlg(alg),
            body[_HEAD.size :],
            CredProtect(flags & _LEVEL),
            bool(flags & _PAYMENT),
        )
