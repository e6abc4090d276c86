"""Every credential of the token, resident or wrapped, found by id; and their loaded keys."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from functools import lru_cache

from fidokit.types import CoseAlg, CredentialId, CredProtect
from fidokit.virtual.core.keys.algorithms import ALGORITHMS, PrivateKey
from fidokit.virtual.core.keys.non_resident import (
    Deriver,
    WrappedCredential,
    Wrapper,
    derivable,
    wrapped_length,
)
from fidokit.virtual.core.ports import DurableState, Rng, Store, StoredCredential

KEY_CACHE_SIZE = 256
LONGEST_ID = 1023
"""Bytes that the id of any credential may have (CTAP 2.3 section 6.1.2)."""

Credential = StoredCredential | WrappedCredential


@lru_cache(64)
def hash_of_rp(rp_id: str) -> bytes:
    """What stands for a relying party in the authenticator data and in its credentials: SHA-256 of
    the RP id (WebAuthn section 6.1). Most requests come for few of them."""
    return hashlib.sha256(rp_id.encode()).digest()


def _as_wrapped(stored: StoredCredential) -> WrappedCredential:
    """What came from elsewhere and is known by its id alone: to a client as if it were wrapped."""
    return WrappedCredential(
        stored.id, stored.rp_id_hash, stored.alg, stored.secret, stored.cred_protect
    )


class Credentials:
    """Lookup over the store and the wrapping key; a reset makes a new one.

    Args:
        store: holds the resident ones.
        state: holds the keys that wrapped ids and hmac-secret derive from.
        rng: for new keys.
        stored_first: ids of resident credentials are wrapped, too (`Behavior.deleted_keys_sign`).
    """

    def __init__(
        self, store: Store, state: DurableState, rng: Rng, *, stored_first: bool = False
    ) -> None:
        self._store = store
        self._stored_first = stored_first
        self._rng = rng
        self._hmac_secret_key = state.hmac_secret_key
        self._wrapper = Wrapper(state.wrapping_key, rng)
        self._deriver = Deriver(state.wrapping_key, rng)
        self._keys: OrderedDict[bytes, PrivateKey] = OrderedDict()

    def find(self, rp_id_hash: bytes, credential_id: bytes) -> Credential | None:
        """The credential of this id that belongs to this relying party.

        Args:
            rp_id_hash: 32 bytes; for U2F the application parameter.
            credential_id: from the platform, any length.
        """
        wrapped = self._wrapper.unwrap(rp_id_hash, credential_id)
        if wrapped is not None:
            kept = self._store.find(wrapped.id) if self._stored_first else None
            return kept or wrapped
        stored = self._store.find(CredentialId(credential_id))
        if stored is not None and stored.rp_id_hash != rp_id_hash:
            return None
        if stored is not None:
            return stored if stored.discoverable else _as_wrapped(stored)
        # last: an id of this kind has no mark to be told by, so each costs a MAC
        return self._deriver.find(rp_id_hash, credential_id)

    def new_secret(self, alg: CoseAlg) -> bytes:
        """The secret of a fresh key."""
        return ALGORITHMS[alg].new_secret(self._rng)

    def wrap(
        self,
        rp_id_hash: bytes,
        alg: CoseAlg,
        cred_protect: CredProtect = CredProtect.UV_OPTIONAL,
        *,
        longest: int = LONGEST_ID,
        third_party_payment: bool = False,
    ) -> WrappedCredential:
        """A new non-resident credential with a fresh key, and an id of at most `longest` bytes.

        What its id can be is asked by `fits_id` before.
        """
        if wrapped_length(ALGORITHMS[alg].secret_size) > longest:
            return self._deriver.make(
                rp_id_hash,
                alg,
                cred_protect,
                longest=longest,
                third_party_payment=third_party_payment,
            )
        return self._wrapper.wrap(
            rp_id_hash,
            alg,
            self.new_secret(alg),
            cred_protect,
            third_party_payment=third_party_payment,
        )

    def fits_id(self, alg: CoseAlg, longest: int) -> bool:
        """Whether a non-resident credential's id can be at most `longest` bytes, 16 or more."""
        return wrapped_length(ALGORITHMS[alg].secret_size) <= longest or derivable(alg)

    def key(self, credential: Credential) -> PrivateKey:
        """The credential's private key; the most recently used ones stay loaded."""
        key = self._keys.get(credential.id)
        if key is None:
            key = ALGORITHMS[credential.alg].key(credential.secret, self._rng)
            self._keys[credential.id] = key
            if len(self._keys) > KEY_CACHE_SIZE:
                self._keys.popitem(last=False)
        else:
            self._keys.move_to_end(credential.id)
        return key

    def hmac_secret(self, credential: Credential, *, verified: bool) -> bytes:
        """The credential's 32-byte CredRandom, one with user verification and one without.

        It is derived, not stored, so that every credential has it (HMS-06).
        """
        label = b"with UV" if verified else b"without UV"
        return hmac.digest(self._hmac_secret_key, label + credential.id, "sha256")
