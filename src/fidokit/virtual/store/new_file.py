"""Making a token's file: complete under its name, or not there at all."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fidokit.virtual.core.ports import DurableState, StoredCredential
from fidokit.virtual.identity import TokenIdentity
from fidokit.virtual.store import file
from fidokit.virtual.store.cipher import new_seal
from fidokit.virtual.store.schema import CREDENTIAL, IDENTITY, SEAL, STATE, to_record, to_row
from fidokit.virtual.world import SystemRng

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
        remove(draft)
        connection = file.build(draft)
        try:
            with file.translated(path):
                fill(connection, contents, passphrase)
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
        draft.rename(path)
        _flush_folder(path.parent)
    except BaseException:
        remove(draft)
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


def remove(path: Path) -> None:
    """Remove a file and what SQLite keeps beside it."""
    for suffix in _FILE_SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
