"""A store that lives as long as its object: for tests, and for tokens that need no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from fidokit.types import CredentialId, UserId
from fidokit.virtual.core.ports import DurableState, LargeBlob, RelyingParty, StoredCredential


class MemoryStore:
    """The `Store` contract of `core.ports`, without a file.

    Args:
        state: the token as it was made.
    """

    durable: Final = False

    def __init__(self, state: DurableState) -> None:
        self._state = state
        self._counters: dict[int, int] = {}
        self._created = 0
        self._revision = 0
        self._known_by_id = 0  # alone: not discoverable
        self._by_id: dict[CredentialId, StoredCredential] = {}
        self._ids_of_rp: dict[bytes, dict[UserId, CredentialId]] = {}

    def load(self) -> DurableState:
        """The state as last saved."""
        return self._state

    def save(self, state: DurableState) -> None:
        """Replace the state for as long as this object lives."""
        self._state = state

    def wipe(self, state: DurableState) -> None:
        """Drop every credential and replace the state; the counter goes on."""
        self._revision += len(self._by_id)
        self._by_id.clear()
        self._ids_of_rp.clear()
        self._known_by_id = 0
        self._state = state

    def next_counter(self, number: int = 0) -> int:
        """One more than the last."""
        value = self._counters.get(number, 0) + 1
        self._counters[number] = value
        return value

    def raise_counter(self, number: int, least: int) -> None:
        """Let a counter's next value be above `least`."""
        self._counters[number] = max(self._counters.get(number, 0), least)

    def put(self, credential: StoredCredential) -> None:
        """Add as the newest, in the place of the same user's older one."""
        replaced = self.of_user(credential.rp_id_hash, credential.user_id)
        if replaced is not None:
            self.delete(replaced.id)
        self.delete(credential.id)
        self._created += 1
        self._revision += 1
        self._known_by_id += not credential.discoverable
        self._by_id[credential.id] = replace(credential, created=self._created)
        users = self._ids_of_rp.setdefault(credential.rp_id_hash, {})
        users[credential.user_id] = credential.id

    def delete(self, credential_id: CredentialId) -> bool:
        """Forget one; False if it was not there."""
        credential = self._by_id.pop(credential_id, None)
        if credential is None:
            return False
        self._revision += 1
        self._known_by_id -= not credential.discoverable
        users = self._ids_of_rp[credential.rp_id_hash]
        del users[credential.user_id]
        if not users:
            del self._ids_of_rp[credential.rp_id_hash]
        return True

    def update_user(
        self, credential_id: CredentialId, name: str | None, display_name: str | None
    ) -> bool:
        """Replace both names; False if the credential is not there."""
        changed = self._change(credential_id, user_name=name, user_display_name=display_name)
        self._revision += changed
        return changed

    def update_large_blob(self, credential_id: CredentialId, blob: LargeBlob) -> bool:
        """Replace its large blob; False if the credential is not there."""
        return self._change(credential_id, large_blob=blob)

    def _change(self, credential_id: CredentialId, **members: Any) -> bool:
        credential = self._by_id.get(credential_id)
        if credential is None:
            return False
        self._by_id[credential_id] = replace(credential, **members)
        return True

    def find(self, credential_id: CredentialId) -> StoredCredential | None:
        """The credential with this id."""
        return self._by_id.get(credential_id)

    def of_rp(self, rp_id_hash: bytes) -> Sequence[StoredCredential]:
        """Every discoverable credential of one relying party, newest first."""
        ids = self._ids_of_rp.get(rp_id_hash)
        if ids is None:
            return []
        # `put` takes a user's older entry out first, so the order of insertion is that of creation
        found = (self._by_id[i] for i in reversed(ids.values()))
        return [credential for credential in found if credential.discoverable]

    def of_user(self, rp_id_hash: bytes, user_id: UserId) -> StoredCredential | None:
        """The one credential that `put` would replace."""
        credential_id = self._ids_of_rp.get(rp_id_hash, {}).get(user_id)
        return None if credential_id is None else self._by_id[credential_id]

    def relying_parties(self) -> Sequence[RelyingParty]:
        """Every relying party once, the one with the oldest credential first."""
        oldest: dict[bytes, RelyingParty] = {}
        for one in self.all_credentials():
            if one.discoverable:
                oldest.setdefault(one.rp_id_hash, RelyingParty(one.rp_id, one.rp_id_hash))
        return list(oldest.values())

    def count(self) -> int:
        """How many discoverable credentials there are."""
        return len(self._by_id) - self._known_by_id

    def all_credentials(self) -> Sequence[StoredCredential]:
        """Every credential, oldest first."""
        return sorted(self._by_id.values(), key=lambda credential: credential.created)

    def revision(self) -> int:
        """How often credentials changed."""
        return self._revision

    def close(self) -> None:
        """Nothing is held open."""
