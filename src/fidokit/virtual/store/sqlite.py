"""The durable store: one SQLite file per token, owned by one process from opening to closing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from fidokit.errors import MalformedFile, NoPermission, WouldOverwrite
from fidokit.types import CredentialId, UserId
from fidokit.virtual.core.ports import DurableState, LargeBlob, RelyingParty, StoredCredential
from fidokit.virtual.store import file
from fidokit.virtual.store.cipher import Seal
from fidokit.virtual.store.file import (
    LOAD_SEAL,
    SAVE_STATE,
    Contents,
    columns,
    insert,
    make_complete,
    remove_files,
)
from fidokit.virtual.store.ownership import Ownership
from fidokit.virtual.store.schema import (
    CREDENTIAL,
    STATE,
    Row,
    TokenIdentity,
    credential_of,
    identity_of,
    state_of,
    to_row,
)

COUNTER_BATCH: Final = 1000
"""Signatures per flush: so many numbers at most are skipped by a crash. A flush takes 2.6 ms on an
ordinary disk and a signature 30 us, so one in 100 would double the time of each."""

LOOKUPS_KEPT: Final = 256
"""Answers of the credential table that are remembered."""

_ROW_MISSING: Final = "a row that every token has is missing"

_STATE_NAMES: Final = tuple(STATE)
_NEW_NAMES: Final = tuple(name for name in CREDENTIAL if name != "created")
_NEW: Final = {name: CREDENTIAL[name] for name in _NEW_NAMES}

_LOAD_IDENTITY: Final = "SELECT * FROM identity"  # who only looks does not migrate
_LOAD_STATE: Final = f"SELECT {columns(_STATE_NAMES)} FROM state"  # noqa: S608
_RESERVE: Final = "UPDATE counter SET reserved = reserved + :batch RETURNING reserved"
_RAISE: Final = "UPDATE counter SET reserved = max(reserved, :least)"
_RAISE_OTHER: Final = (
    "INSERT INTO credential_counter VALUES (:number, :least) "
    "ON CONFLICT (number) DO UPDATE SET reserved = max(reserved, :least)"
)
_RESERVE_OTHER: Final = (
    "INSERT INTO credential_counter VALUES (:number, :batch) "
    "ON CONFLICT (number) DO UPDATE SET reserved = reserved + :batch RETURNING reserved"
)
_PUT: Final = insert("INSERT OR REPLACE", "credential", _NEW_NAMES)
_SELECT: Final = f"SELECT {columns(tuple(CREDENTIAL))} FROM credential WHERE "  # noqa: S608
_RELYING_PARTIES: Final = (
    "SELECT rp_id, rp_id_hash FROM credential WHERE discoverable "
    "GROUP BY rp_id_hash ORDER BY min(created)"
)


def read_identity(path: Path) -> TokenIdentity:
    """What the token in `path` is, whoever owns it just now.

    Raises:
        TokenNotFound, NoPermission, StateUnusable: as `file.connect`.
    """
    return look(path)[0]


def look(path: Path) -> tuple[TokenIdentity, bool]:
    """What the token in `path` is, and whether its secrets are sealed; see `read_identity`."""
    connection = file.open_for_a_look(path)
    try:
        identity = _one_identity(connection, path)
        with file.translated(path):
            known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'seal'").fetchone()
            sealed = known and connection.execute(LOAD_SEAL).fetchone()
        return identity, bool(sealed)
    finally:
        connection.close()


def delete_token_file(path: Path) -> None:
    """Remove a token's file, whatever is in it, and everything beside it.

    Raises:
        TokenBusy: the token is plugged in.
        NoPermission: the folder does not let this user.
    """
    ownership = Ownership.acquire(path)
    try:
        remove_files(path)
    except OSError as error:
        ownership.release()
        raise NoPermission(
            f"the virtual token's file {path} cannot be removed: {error.strerror}",
            hint="make its folder writable (chmod u+w)",
        ) from error
    ownership.forget()


@dataclass(slots=True)
class _Counter:
    """The last value given out, and the last that was reserved."""

    value: int
    reserved: int


class SqliteStore:
    """The `Store` contract of `core.ports` over one file; use `create` or `open`."""

    durable: Final = True

    def __init__(
        self,
        path: Path,
        ownership: Ownership,
        connection: sqlite3.Connection,
        identity: TokenIdentity,
    ) -> None:
        self.path = path
        self.identity = identity
        self._ownership = ownership
        self._db = connection
        self._counters: dict[int, _Counter] = {}
        self._lookups: dict[tuple[object, ...], list[StoredCredential]] = {}

    @classmethod
    def create(cls, path: Path, identity: TokenIdentity, state: DurableState) -> Self:
        """Make the file and own it; as `create_with`."""
        return cls.create_with(path, Contents(identity, state))

    @classmethod
    def create_with(cls, path: Path, contents: Contents, passphrase: bytes | None = None) -> Self:
        """Make the file and own it; it appears under its name complete, or not at all.

        Args:
            path: where nothing is.
            contents: what is in it from the beginning.
            passphrase: to seal it under, or None.

        Raises:
            WouldOverwrite: something has this name.
            UsageError: the passphrase is empty.
            TokenBusy: another process is making the same token.
            StateUnusable: the disk is full or the folder read-only.
        """
        _require_free(path)
        ownership = Ownership.acquire(path)
        try:
            _require_free(path)
            make_complete(path, contents, passphrase)
        except WouldOverwrite:
            ownership.release()
            raise
        except BaseException:
            ownership.forget()
            raise
        return cls._powered(path, ownership)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Own the token in `path`: it is plugged in.

        Raises:
            TokenBusy: it is plugged in already.
            TokenNotFound, NoPermission, StateUnusable: as `file.connect`.
        """
        file.inspect(path)
        return cls._powered(path, Ownership.acquire(path))

    @classmethod
    def _powered(cls, path: Path, ownership: Ownership) -> Self:
        with ExitStack() as undo:
            undo.callback(ownership.release)
            connection = file.connect(path)
            undo.callback(connection.close)
            store = cls(path, ownership, connection, _one_identity(connection, path))
            file.make_private(path)
            undo.pop_all()
            return store

    @property
    def seal(self) -> Seal | None:
        """What its secrets are sealed by, or None; then `sealed_store` reads them."""
        rows = self.rows(LOAD_SEAL)
        try:
            return Seal(*rows[0]) if rows else None
        except MalformedFile as error:
            raise file.damaged(self.path, error.message) from error

    def close(self) -> None:
        """Let the next process have the token; harmless when repeated."""
        self._db.close()
        self._ownership.release()

    def load(self) -> DurableState:
        """The state as last saved."""
        with file.translated(self.path):
            return state_of(self._one_row(_LOAD_STATE))

    def save(self, state: DurableState) -> None:
        """Replace the state; it is durable when this returns."""
        with self.transaction():
            self._db.execute(SAVE_STATE, (1, *to_row(state, STATE)))

    def wipe(self, state: DurableState) -> None:
        """Drop every credential and replace the state; the counter goes on."""
        with self.transaction():
            self._db.execute("DELETE FROM credential")
            self._db.execute(SAVE_STATE, (1, *to_row(state, STATE)))
        # Erased keys would otherwise stay readable in the log until it is next written over. The
        # reset is durable already, so failing at this is not a failure of the reset.
        with suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def next_counter(self, number: int = 0) -> int:
        """One more than the last, from values that were reserved durably before."""
        counter = self._counters.get(number)
        if counter is None or counter.value == counter.reserved:
            counter = self._counters[number] = self._reserve(number)
        counter.value += 1
        return counter.value

    def _reserve(self, number: int) -> _Counter:
        statement = _RESERVE_OTHER if number else _RESERVE
        with self.transaction():
            wanted = {"number": number, "batch": COUNTER_BATCH}
            (reserved,) = self._db.execute(statement, wanted).fetchone()
        return _Counter(reserved - COUNTER_BATCH, reserved)

    def raise_counter(self, number: int, least: int) -> None:
        """Let a counter's next value be above `least`; durable when this returns."""
        counter = self._counters.get(number)
        if counter is not None and counter.value >= least:
            return
        with self.transaction():
            wanted = {"number": number, "least": least}
            self._db.execute(_RAISE_OTHER if number else _RAISE, wanted)
        self._counters.pop(number, None)

    def credential_counters(self) -> dict[int, int]:
        """The counters that credentials have of their own: number to the last value reserved."""
        return dict(self.rows("SELECT number, reserved FROM credential_counter"))

    def put(self, credential: StoredCredential) -> None:
        """Add as the newest, in the place of the same user's older one."""
        with self.transaction():
            self._db.execute(_PUT, to_row(credential, _NEW))

    def delete(self, credential_id: CredentialId) -> bool:
        """Forget one; False if it was not there."""
        return self._change("DELETE FROM credential WHERE id = ?", credential_id)

    def update_user(
        self, credential_id: CredentialId, name: str | None, display_name: str | None
    ) -> bool:
        """Replace both names; False if the credential is not there."""
        statement = "UPDATE credential SET user_name = ?, user_display_name = ? WHERE id = ?"
        return self._change(statement, name, display_name, credential_id)

    def update_large_blob(self, credential_id: CredentialId, blob: LargeBlob) -> bool:
        """Replace its large blob; False if the credential is not there."""
        stored = CREDENTIAL["large_blob"].store(blob)
        return self._change(
            "UPDATE credential SET large_blob = ? WHERE id = ?", stored, credential_id
        )

    def find(self, credential_id: CredentialId) -> StoredCredential | None:
        """The credential with this id."""
        return self._first("id = ?", credential_id)

    def of_rp(self, rp_id_hash: bytes) -> Sequence[StoredCredential]:
        """Every discoverable credential of one relying party, newest first."""
        condition = "rp_id_hash = ? AND discoverable ORDER BY created DESC"
        return self._credentials(condition, rp_id_hash)

    def of_user(self, rp_id_hash: bytes, user_id: UserId) -> StoredCredential | None:
        """The one credential that `put` would replace."""
        return self._first("rp_id_hash = ? AND user_id = ?", rp_id_hash, user_id)

    def relying_parties(self) -> Sequence[RelyingParty]:
        """Every relying party once, the one with the oldest credential first."""
        return [RelyingParty(*row) for row in self.rows(_RELYING_PARTIES)]

    def count(self) -> int:
        """How many discoverable credentials there are."""
        (count,) = self._one_row("SELECT count(*) FROM credential WHERE discoverable")
        return int(count)

    def all_credentials(self) -> Sequence[StoredCredential]:
        """Every credential, oldest first."""
        return self._credentials("true ORDER BY created")

    def revision(self) -> int:
        """How often credentials changed; triggers of the file count it."""
        (revision,) = self._one_row("SELECT revision FROM counter")
        return int(revision)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Durable when it ends, undone when it fails."""
        self._lookups.clear()
        with file.translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.rollback()
                raise

    def _change(self, statement: str, *parameters: object) -> bool:
        with self.transaction():
            return self._db.execute(statement, parameters).rowcount > 0

    def execute(self, statement: str, *parameters: object) -> None:
        """Run a statement inside a `transaction`."""
        self._db.execute(statement, parameters)

    def rows(self, statement: str, *parameters: object) -> list[Row]:
        """What a question to the file gives."""
        with file.translated(self.path):
            return self._db.execute(statement, parameters).fetchall()

    def _one_row(self, statement: str) -> Row:
        return _one_row(self._db, self.path, statement)

    def _credentials(self, condition: str, *parameters: object) -> list[StoredCredential]:
        """Rows as credentials; remembered until this process, the only one, writes anything."""
        asked = (condition, *parameters)
        found = self._lookups.get(asked)
        if found is None:
            with file.translated(self.path):
                rows = self._db.execute(_SELECT + condition, parameters)
                found = [credential_of(row) for row in rows]
            if len(self._lookups) >= LOOKUPS_KEPT:
                self._lookups.clear()
            self._lookups[asked] = found
        return found

    def _first(self, condition: str, *parameters: object) -> StoredCredential | None:
        return next(iter(self._credentials(condition, *parameters)), None)


def _one_row(connection: sqlite3.Connection, path: Path, statement: str) -> Row:
    with file.translated(path):
        row: Row | None = connection.execute(statement).fetchone()
    if row is None:
        raise file.damaged(path, _ROW_MISSING)
    return row


def _one_identity(connection: sqlite3.Connection, path: Path) -> TokenIdentity:
    with file.translated(path):
        cursor = connection.execute(_LOAD_IDENTITY)
        row: Row | None = cursor.fetchone()
        if row is None:
            raise file.damaged(path, _ROW_MISSING)
        return identity_of([column[0] for column in cursor.description], row)


def _require_free(path: Path) -> None:
    if os.path.lexists(path):
        raise WouldOverwrite(
            f"{path} exists already and was left as it is", hint="choose another name"
        )
