"""A token in one file, for another machine: versioned, bounded, and checked as a whole.

    magic "fidokit virtual token\\n" (22 bytes), u8 version (1), u8 form, then
    form 0 (plain):  SHA-256 of the content (32 bytes), content
    form 1 (sealed): u8 cost, salt (16 bytes), data key (60 bytes), string serial (u8 length),
                     content as one record of `sealing`

The content is canonical CBOR: {"counter", "counters", "credentials", "identity", "revision",
"state"}, of maps from columns to what the SQLite file has in them; "counters" are those that
credentials have of their own, by number.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fidokit import cbor
from fidokit.errors import MalformedCbor, MalformedFile, PassphraseRequired
from fidokit.virtual.core.ports import DurableState, StoredCredential
from fidokit.virtual.store import SealedStore, SqliteStore
from fidokit.virtual.store.cipher import Seal, new_seal
from fidokit.virtual.store.file import Contents, columns, fill
from fidokit.virtual.store.schema import (
    CREDENTIAL,
    IDENTITY,
    MIGRATIONS,
    STATE,
    ColumnCodec,
    TokenIdentity,
    of_members,
    to_members,
    to_row,
)
from fidokit.virtual.world import SystemRng

MAGIC: Final = b"fidokit virtual token\n"
VERSION: Final = 1
LONGEST: Final = 64 << 20
"""Bytes of an export; 10,000 ordinary credentials take about 4 million."""

_PLAIN: Final = 0
_SEALED: Final = 1
_DIGEST: Final = 32
_SALT: Final = 16
_KEY: Final = 60
_DEPTH: Final = 3
_MEMBERS: Final = frozenset({"counter", "counters", "credentials", "identity", "revision", "state"})
_RECORD: Final = "export"
_HINT: Final = "export the token again, and copy the file as it is"


def contents_of(store: SqliteStore | SealedStore) -> Contents:
    """All that an open token holds; its signature counters are reserved first, so that those of
    the copy begin above every one that this one gave.
    """
    counter = store.next_counter()
    found = store.all_credentials()
    own = store.credential_counters()
    return Contents(store.identity, store.load(), found, counter, store.revision(), own)


def encode(contents: Contents, passphrase: bytes | None = None) -> bytes:
    """An export.

    Args:
        contents: of the token.
        passphrase: to seal it under, 1 to 1024 bytes; None leaves its secrets in plain.

    Raises:
        UsageError: the passphrase is empty or too long.
        MalformedFile: the token is larger than an export may be.
    """
    content = cbor.encode(_members(contents))
    if len(content) > LONGEST - 1024:
        raise MalformedFile(
            f"the token has {len(content)} bytes, more than an export holds",
            hint="delete credentials that are not needed",
        )
    head = MAGIC + bytes([VERSION])
    if passphrase is None:
        return head + bytes([_PLAIN]) + hashlib.sha256(content).digest() + content
    serial = contents.identity.serial
    seal, box = new_seal(passphrase, serial, SystemRng())
    name = serial.encode()
    front = bytes([_SEALED, seal.cost]) + seal.salt + seal.key + bytes([len(name)]) + name
    return head + front + box.close(_RECORD, content)


def decode(data: bytes, passphrase: Callable[[], bytes] | None = None) -> Contents:
    """The token in an export.

    Args:
        data: the file.
        passphrase: gives the one that it is sealed under; asked only where it is.

    Raises:
        MalformedFile: it is not an export, of a newer version, or damaged.
        PassphraseRequired, PassphraseWrong: it is sealed.
    """
    form = _form(data)
    body = data[len(MAGIC) + 2 :]
    content = _checked(body) if form == _PLAIN else _unsealed(body, passphrase)
    try:
        contents = _contents(cbor.decode(content, max_depth=_DEPTH))
        _require_place(contents)
    except (MalformedCbor, ValueError, TypeError, OverflowError, sqlite3.Error) as error:
        raise MalformedFile(f"the export has no token in it: {error}", hint=_HINT) from error
    return contents


def _form(data: bytes) -> int:
    head = len(MAGIC)
    if not data.startswith(MAGIC) or len(data) < head + 2 or len(data) > LONGEST:
        raise MalformedFile(
            "the file is not an export of a virtual token", hint="make one: fidokit virtual export"
        )
    version, form = data[head], data[head + 1]
    if version > VERSION:
        raise MalformedFile(
            f"the export has format {version}, newer than ours, {VERSION}",
            hint="use the newer fidokit that wrote it",
        )
    if version < 1 or form not in {_PLAIN, _SEALED}:
        raise MalformedFile(f"the export has form {form}, which means nothing", hint=_HINT)
    return form


def _checked(body: bytes) -> bytes:
    digest, content = body[:_DIGEST], body[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        raise MalformedFile("the export was cut or changed on its way", hint=_HINT)
    return content


def _unsealed(body: bytes, passphrase: Callable[[], bytes] | None) -> bytes:
    salt, key = body[1 : 1 + _SALT], body[1 + _SALT : 1 + _SALT + _KEY]
    named, name_end = body[1 + _SALT + _KEY :], 1
    if not named:
        raise MalformedFile("the export was cut or changed on its way", hint=_HINT)
    name_end += named[0]
    seal = Seal(salt, body[0], key)
    if passphrase is None:
        raise PassphraseRequired(
            "the export is sealed under a passphrase",
            hint="use --passphrase-file FILE, or run it in a terminal",
        )
    serial = named[1:name_end].decode("utf-8", "replace")
    return seal.unlock(passphrase(), serial).open(_RECORD, named[name_end:])


def _members(contents: Contents) -> dict[str, Any]:
    return {
        "counter": contents.counter,
        "counters": dict(contents.credential_counters),
        "credentials": [to_members(c, CREDENTIAL) for c in contents.credentials],
        "identity": to_members(contents.identity, IDENTITY),
        "revision": contents.revision,
        "state": to_members(contents.state, STATE),
    }


def _contents(members: object) -> Contents:
    if not isinstance(members, dict) or members.keys() != _MEMBERS:
        raise ValueError("it has other members than a token")
    credentials, counters = members["credentials"], members["counters"]
    if not isinstance(credentials, list) or not isinstance(counters, dict):
        raise TypeError("its members have other types than a token's")
    numbers = (members["counter"], members["revision"])
    if any(type(number) is not int for number in (*numbers, *counters, *counters.values())):
        raise ValueError("its counters have other types than a token's")
    return Contents(
        of_members(TokenIdentity, members["identity"], IDENTITY),
        of_members(DurableState, members["state"], STATE),
        [of_members(StoredCredential, credential, CREDENTIAL) for credential in credentials],
        *numbers,
        counters,
    )


def _require_place(contents: Contents) -> None:
    """Let the schema judge types and ranges, in memory, before anything is written to a disk."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        for step in MIGRATIONS:
            connection.executescript(step)
        fill(connection, contents, None)
        # A column of the one type takes "8" for 8: what it gives back tells.
        _require_same(connection, "identity", IDENTITY, [contents.identity])
        _require_same(connection, "state", STATE, [contents.state])
        named = {name: column for name, column in CREDENTIAL.items() if name != "created"}
        _require_same(connection, "credential", named, contents.credentials)
    finally:
        connection.close()
    for credential in contents.credentials:
        if hashlib.sha256(credential.rp_id.encode()).digest() != credential.rp_id_hash:
            raise ValueError("a credential's relying party has another hash")


def _require_same(
    connection: sqlite3.Connection,
    table: str,
    named: Mapping[str, ColumnCodec],
    values: Sequence[object],
) -> None:
    rows = connection.execute(f"SELECT {columns(tuple(named))} FROM {table}").fetchall()  # noqa: S608
    if rows != [to_row(value, named) for value in values]:
        raise ValueError(f"its {table} has values of other types")
