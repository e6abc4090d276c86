"""A virtual token's SQLite file: opened with care, made complete or not at all, with words for what
is wrong with one."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, MalformedCbor, NoPermission, StateUnusable, TokenNotFound
from fidokit.virtual.core.ports import DurableState, StoredCredential
from fidokit.virtual.store.cipher import new_seal
from fidokit.virtual.store.schema import (
    APPLICATION_ID,
    CREDENTIAL,
    IDENTITY,
    MIGRATIONS,
    SEAL,
    STATE,
    VERSION,
    TokenIdentity,
    to_record,
    to_row,
)
from fidokit.virtual.world import SystemRng

_HEADER_SIZE: Final = 100
_MAGIC: Final = b"SQLite format 3\0"
_VERSION_AT: Final = slice(60, 64)
_APPLICATION_AT: Final = slice(68, 72)

_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077

_LOCK_WAIT_S: Final = 2.0

_FREE_SPACE: Final = (
    "free some space on its disk and repeat the command; nothing acknowledged is lost"
)
_WRITABLE: Final = "make the file and its folder writable (chmod u+w), or work on a copy"
_RESTORE: Final = (
    "the file was left as it is: restore a copy, or delete the token and make a new one"
)

_WHAT_IS_WRONG: Final[Mapping[int, tuple[str, str]]] = {
    sqlite3.SQLITE_FULL: ("does not fit on its disk", _FREE_SPACE),
    sqlite3.SQLITE_IOERR: ("cannot be read or written", _FREE_SPACE),
    sqlite3.SQLITE_READONLY: ("is read-only", _WRITABLE),
    sqlite3.SQLITE_PERM: ("is not open to you", _WRITABLE),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", _WRITABLE),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: ("is damaged", _RESTORE),
    sqlite3.SQLITE_BUSY: ("is held by another program", "close the program that reads the file"),
}


def unusable(path: Path, error: sqlite3.Error) -> StateUnusable:
    """The error for what SQLite reported about the file at `path`."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    what, hint = _WHAT_IS_WRONG.get(code, (f"cannot be used: {error}", _RESTORE))
    return StateUnusable(f"the virtual token's file {path} {what}", hint=hint)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors, and rows that mean nothing, into `StateUnusable`."""
    try:
        yield
    except sqlite3.Error as error:
        raise unusable(path, error) from error
    except (ValueError, MalformedCbor) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, detail: str) -> StateUnusable:
    """The error for a file whose content has no meaning."""
    return StateUnusable(f"the virtual token's file {path} is damaged: {detail}", hint=_RESTORE)


def connect(path: Path) -> sqlite3.Connection:
    """Open a file that holds a token of this version, after looking at it from outside.

    The write-ahead log with synchronous=FULL makes each commit durable by one flush: a rollback
    journal needs three, and its commit may still be undone if power fails at once, because the
    journal's removal is not flushed.

    Raises:
        TokenNotFound: there is no such file.
        NoPermission: this user may not read it.
        StateUnusable: it is not a token, damaged, read-only, or of a newer version.
    """
    inspect(path)
    with translated(path):
        connection = _existing(path)
        try:
            _configure(connection)
            _migrate(connection, path)
            _require_sound(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def build(path: Path) -> sqlite3.Connection:
    """Make an empty file of the present version, readable by its owner alone.

    Raises:
        StateUnusable: the folder is read-only or its disk is full.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, _PRIVATE))
    except OSError as error:
        raise StateUnusable(
            f"the virtual token's file {path} cannot be made: {error.strerror}",
            hint="free some space, or choose a writable folder with XDG_STATE_HOME",
        ) from error
    with translated(path):
        connection = _existing(path)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _configure(connection)
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_a_look(path: Path) -> sqlite3.Connection:
    """Open a file, which another process may own, for reading what never changes.

    `immutable` takes no locks and leaves no files; it may miss what still waits in the log, so
    only rows that were there from the file's making may be read.
    """
    inspect(path)
    with translated(path):
        return sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True)


def make_private(path: Path) -> None:
    """Take a file that a copy or a restore left open to other users away from them.

    Raises:
        NoPermission: it belongs to another user.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            path.chmod(_PRIVATE)
    except OSError as error:
        raise NoPermission(
            f"the virtual token's file {path} is open to other users: {error.strerror}",
            hint=f"give it to your user alone: chmod 600 {path}",
        ) from error


def _existing(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=_LOCK_WAIT_S,
        isolation_level=None,
        check_same_thread=False,
    )


def _configure(connection: sqlite3.Connection) -> None:
    for pragma in (
        "synchronous = FULL",
        "secure_delete = ON",  # a reset erases keys, not only the way to them
        "trusted_schema = OFF",
        "cell_size_check = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise _newer(path, version)
    for step in range(version, VERSION):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[step]} PRAGMA user_version = {step + 1}; COMMIT;"
        )


def _require_sound(connection: sqlite3.Connection, path: Path) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise damaged(path, " ".join(str(verdict).split()))


def inspect(path: Path) -> None:
    """Judge a file by its header, without SQLite, which would write to what it opens.

    Raises:
        TokenNotFound, NoPermission, StateUnusable: as `connect`.
    """
    header = _header(path)
    if len(header) < _HEADER_SIZE or not header.startswith(_MAGIC):
        raise damaged(path, "it is not an SQLite file")
    if int.from_bytes(header[_APPLICATION_AT]) != APPLICATION_ID:
        raise StateUnusable(f"the file {path} is not a virtual token's", hint="name another file")
    version = int.from_bytes(header[_VERSION_AT])
    if version > VERSION:
        raise _newer(path, version)


def _header(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise _cannot_open(path, error) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise StateUnusable(f"{path} is not a file", hint="name a virtual token's file")
        # The bits are asked, not only the system: root may write where the owner said no.
        if not (mode & stat.S_IWUSR and os.access(path, os.W_OK)):
            raise StateUnusable(f"the virtual token's file {path} is read-only", hint=_WRITABLE)
        return os.read(descriptor, _HEADER_SIZE)
    finally:
        os.close(descriptor)


def _cannot_open(path: Path, error: OSError) -> FidokitError:
    if isinstance(error, FileNotFoundError):
        return TokenNotFound(
            f"there is no virtual token in {path}", hint="`fidokit virtual create NAME` makes one"
        )
    if isinstance(error, PermissionError):
        return NoPermission(f"the virtual token's file {path} is not open to you", hint=_WRITABLE)
    return StateUnusable(
        f"the virtual token's file {path} cannot be opened: {error.strerror}", hint=_RESTORE
    )


def _newer(path: Path, version: int) -> StateUnusable:
    return StateUnusable(
        f"the virtual token's file {path} has format {version}, newer than ours, {VERSION}",
        hint="use the newer fidokit that wrote it; the file was left as it is",
    )


_FILE_SUFFIXES: Final = ("", "-wal", "-shm")


def columns(names: Sequence[str]) -> str:
    """Names as a list of SQL."""
    return ", ".join(names)


def insert(verb: str, table: str, names: Sequence[str]) -> str:
    """A statement that fills a row of these columns."""
    marks = ", ".join("?" * len(names))
    return f"{verb} INTO {table} ({columns(names)}) VALUES ({marks})"


SAVE_STATE: Final = insert("INSERT OR REPLACE", "state", ("one", *STATE))
SAVE_RECORD: Final = insert("INSERT OR REPLACE", "sealed", ("number", "record"))
LOAD_SEAL: Final = f"SELECT {columns(tuple(SEAL))} FROM seal WHERE key IS NOT NULL"  # noqa: S608
_SAVE_IDENTITY: Final = insert("INSERT", "identity", ("one", *IDENTITY))
_SAVE_SEAL: Final = insert("INSERT OR REPLACE", "seal", ("one", *SEAL))
_SAVE_COUNTER: Final = "UPDATE counter SET reserved = ?, revision = ?"
_SAVE_CREDENTIAL_COUNTER: Final = insert("INSERT", "credential_counter", ("number", "reserved"))
_SAVE_CREDENTIAL: Final = insert("INSERT", "credential", tuple(CREDENTIAL))

STATE_RECORD: Final = 0
"""The number of the sealed state; those of credentials begin behind it."""

Statement = tuple[str, Sequence[object]]


@dataclass(frozen=True, slots=True)
class Contents:
    """All that a token's file holds.

    Args:
        identity: who it is.
        state: what it remembers.
        credentials: the resident ones, oldest first; `created` is given anew.
        counter: signature counters begin above it.
        credential_counters: of models that count for each credential, number to the same.
        revision: how often credentials changed.
    """

    identity: TokenIdentity
    state: DurableState
    credentials: Sequence[StoredCredential] = ()
    counter: int = 0
    revision: int = 0
    credential_counters: Mapping[int, int] = field(default_factory=dict)


def record_name(number: int) -> str:
    """The name that a sealed record is sealed under."""
    return f"record {number}"


def statements(contents: Contents, passphrase: bytes | None) -> Iterator[Statement]:
    """What fills an empty file; with a passphrase, no secret is in any of it in plain."""
    yield _SAVE_IDENTITY, (1, *to_row(contents.identity, IDENTITY))
    if passphrase is None:
        yield SAVE_STATE, (1, *to_row(contents.state, STATE))
        for created, credential in enumerate(contents.credentials, 1):
            row = dict(zip(CREDENTIAL, to_row(credential, CREDENTIAL), strict=True))
            yield _SAVE_CREDENTIAL, tuple({**row, "created": created}.values())
    else:
        yield from _sealed(contents, passphrase)
    for numbered in contents.credential_counters.items():
        yield _SAVE_CREDENTIAL_COUNTER, numbered
    # Last, for triggers count the credentials that came now.
    yield _SAVE_COUNTER, (contents.counter, contents.revision)


def _sealed(contents: Contents, passphrase: bytes) -> Iterator[Statement]:
    seal, box = new_seal(passphrase, contents.identity.serial, SystemRng())
    yield _SAVE_SEAL, (1, *to_row(seal, SEAL))
    records = [to_record(contents.state, STATE)]
    records += [to_record(credential, CREDENTIAL) for credential in contents.credentials]
    for number, record in enumerate(records, STATE_RECORD):
        yield SAVE_RECORD, (number, box.close(record_name(number), record))


def make_complete(path: Path, contents: Contents, passphrase: bytes | None) -> None:
    """Build beside the final name, flush, and rename: a crash leaves no half token.

    Raises:
        StateUnusable: the folder is read-only or its disk is full.
        UsageError: the passphrase is empty.
    """
    draft = path.with_name(path.name + ".new")
    try:
        remove_files(draft)
        connection = build(draft)
        try:
            with translated(path):
                fill(connection, contents, passphrase)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
        draft.rename(path)
        _flush_folder(path.parent)
    except BaseException:
        remove_files(draft)
        raise


def fill(connection: sqlite3.Connection, contents: Contents, passphrase: bytes | None) -> None:
    """Write everything into an empty file of the present version, in one transaction.

    Raises:
        sqlite3.Error: a value has no place in the schema.
    """
    connection.execute("BEGIN IMMEDIATE")
    for statement, parameters in statements(contents, passphrase):
        connection.execute(statement, parameters)
    connection.execute("COMMIT")


def remove_files(path: Path) -> None:
    """Remove a file and what SQLite keeps beside it."""
    for suffix in _FILE_SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
