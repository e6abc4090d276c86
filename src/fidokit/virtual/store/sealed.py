"""The store of a token that is sealed: everything in memory, and each change sealed in the file.

Nothing but the token's identity, its signature counter and how often credentials changed is in the
file in plain. Rows cannot be looked up by what is sealed, so they are read once, when the token is
plugged in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from fidokit.errors import MalformedCbor, MalformedFile
from fidokit.types import CredentialId
from fidokit.virtual.core.ports import DurableState, LargeBlob, StoredCredential
from fidokit.virtual.store import file as state_file
from fidokit.virtual.store.cipher import Box
from fidokit.virtual.store.file import SAVE_RECORD, STATE_RECORD, record_name
from fidokit.virtual.store.memory import MemoryStore
from fidokit.virtual.store.schema import CREDENTIAL, STATE, of_record, to_record
from fidokit.virtual.store.sqlite import SqliteStore

_LOAD: Final = "SELECT number, record FROM sealed ORDER BY number"
_FORGET: Final = "DELETE FROM sealed WHERE number = ?"
_FORGET_ALL: Final = "DELETE FROM sealed WHERE number > ?"
_CHANGED: Final = "UPDATE counter SET revision = revision + ?"


class SealedStore:
    """The `Store` contract of `core.ports` over a sealed file.

    Args:
        file: the file, owned; closed with this store.
        box: what its seal was unlocked to.

    Raises:
        StateUnusable: a record was changed, or is missing.
    """

    durable: Final = True

    def __init__(self, file: SqliteStore, box: Box) -> None:
        self.identity = file.identity
        self._file = file
        self._box = box
        self._numbers: dict[CredentialId, int] = {}
        records = file.rows(_LOAD)
        if not records or records[0][0] != STATE_RECORD:
            raise state_file.damaged(file.path, "a record that every token has is missing")
        with _damage(file.path):
            state = of_record(DurableState, self._opened(*records[0]), STATE)
            self._view = MemoryStore(state)
            for number, record in records[1:]:
                credential = of_record(StoredCredential, self._opened(number, record), CREDENTIAL)
                self._view.put(credential)
                self._numbers[credential.id] = number
        self._last: int = records[-1][0]
        # What is read comes from memory, what counts from the file.
        view = self._view
        self.load, self.find = view.load, view.find
        self.of_rp, self.of_user = view.of_rp, view.of_user
        self.relying_parties, self.count = view.relying_parties, view.count
        self.all_credentials, self.raise_counter = view.all_credentials, file.raise_counter
        self.next_counter, self.revision = file.next_counter, file.revision
        self.credential_counters, self.close = file.credential_counters, file.close

    @property
    def path(self) -> Path:
        """The file that the token lives in."""
        return self._file.path

    def save(self, state: DurableState) -> None:
        """Replace the state; it is durable when this returns."""
        with self._file.transaction():
            self._write(STATE_RECORD, to_record(state, STATE))
        self._view.save(state)

    def wipe(self, state: DurableState) -> None:
        """Drop every credential and replace the state; the counter goes on."""
        with self._file.transaction():
            self._file.execute(_FORGET_ALL, STATE_RECORD)
            self._file.execute(_CHANGED, len(self._view.all_credentials()))
            self._write(STATE_RECORD, to_record(state, STATE))
        self._numbers.clear()
        self._view.wipe(state)

    def put(self, credential: StoredCredential) -> None:
        """Add as the newest, in the place of the same user's older one."""
        older = self.of_user(credential.rp_id_hash, credential.user_id)
        replaced = {credential.id} | ({older.id} if older else set())
        gone = [self._numbers[known] for known in replaced if known in self._numbers]
        with self._file.transaction():
            for number in gone:
                self._file.execute(_FORGET, number)
            self._file.execute(_CHANGED, 1 + len(gone))
            self._write(self._last + 1, to_record(credential, CREDENTIAL))
        for known in replaced:
            self._numbers.pop(known, None)
        self._last += 1
        self._numbers[credential.id] = self._last
        self._view.put(credential)

    def delete(self, credential_id: CredentialId) -> bool:
        """Forget one; False if it was not there."""
        if credential_id not in self._numbers:
            return False
        with self._file.transaction():
            self._file.execute(_FORGET, self._numbers[credential_id])
            self._file.execute(_CHANGED, 1)
        del self._numbers[credential_id]
        return self._view.delete(credential_id)

    def update_user(
        self, credential_id: CredentialId, name: str | None, display_name: str | None
    ) -> bool:
        """Replace both names; False if the credential is not there."""
        return self._change(
            credential_id,
            lambda old: replace(old, user_name=name, user_display_name=display_name),
            lambda: self._view.update_user(credential_id, name, display_name),
            counted=1,
        )

    def update_large_blob(self, credential_id: CredentialId, blob: LargeBlob) -> bool:
        """Replace its large blob; False if the credential is not there."""
        return self._change(
            credential_id,
            lambda old: replace(old, large_blob=blob),
            lambda: self._view.update_large_blob(credential_id, blob),
            counted=0,
        )

    def _change(
        self,
        credential_id: CredentialId,
        changed: Callable[[StoredCredential], StoredCredential],
        in_memory: Callable[[], bool],
        *,
        counted: int,
    ) -> bool:
        """First in the file: what cannot be written must not seem to be there."""
        old = self._view.find(credential_id)
        if old is None:
            return False
        with self._file.transaction():
            record = to_record(changed(old), CREDENTIAL)
            self._write(self._numbers[credential_id], record)
            self._file.execute(_CHANGED, counted)
        return in_memory()

    def _write(self, number: int, record: bytes) -> None:
        self._file.execute(SAVE_RECORD, number, self._box.close(record_name(number), record))

    def _opened(self, number: int, record: bytes) -> bytes:
        return self._box.open(record_name(number), record)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (MalformedFile, MalformedCbor, ValueError, TypeError) as error:
        raise state_file.damaged(path, str(error)) from error
