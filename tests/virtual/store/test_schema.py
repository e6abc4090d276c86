"""Files that older versions of fidokit wrote, and values that lie packed in their columns."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.conftest import IDENTITY, STATE, credential

from fidokit.errors import StateUnusable
from fidokit.virtual.core.ports import INITIAL_LARGE_BLOB_ARRAY, LargeBlob, Template
from fidokit.virtual.store import schema
from fidokit.virtual.store.sqlite import SqliteStore

COLUMNS_OF_VERSION_1 = {
    "state": [
        *("aaguid", "attestation_key", "attestation_certificate", "wrapping_key"),
        *("hmac_secret_key", "min_pin_length", "pin_hash", "pin_length", "pin_retries"),
        *("uv_retries", "uv_enrolled", "force_pin_change", "always_uv", "min_pin_rp_ids"),
    ],
    "credential": [
        *("id", "rp_id", "rp_id_hash", "user_id", "user_name", "user_display_name"),
        *("alg", "secret", "cred_protect", "created"),
    ],
    "identity": ["serial", "profile", "presence", "created"],
}


def insert(database: sqlite3.Connection, table: str, value: object, **more: object) -> None:
    """Write a row as version 1 did."""
    columns = {**schema.STATE, **schema.CREDENTIAL, **schema.IDENTITY}
    named = {
        name: columns[name].store(getattr(value, name)) for name in COLUMNS_OF_VERSION_1[table]
    } | more
    marks = ", ".join("?" * len(named))
    statement = f"INSERT INTO {table} ({', '.join(named)}) VALUES ({marks})"
    database.execute(statement, tuple(named.values()))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of version 1 with one credential."""
    path = tmp_path / "old.sqlite"
    database = sqlite3.connect(path)
    database.executescript(schema.MIGRATIONS[0])
    insert(database, "identity", IDENTITY, one=1)
    insert(database, "state", replace(STATE, pin_hash=bytes(16), pin_retries=3), one=1)
    insert(database, "credential", replace(credential(1), created=7))
    database.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()
    path.chmod(0o600)
    return path


def test_a_file_of_version_1_gains_what_came_later(old: Path) -> None:
    store = SqliteStore.open(old)
    assert store.load() == replace(STATE, pin_hash=bytes(16), pin_retries=3)
    assert store.load().large_blob_array == INITIAL_LARGE_BLOB_ARRAY
    assert store.revision() == 0
    assert store.find(credential(1).id) == replace(credential(1), created=7)
    richer = replace(credential(2), large_blob_key=bytes(32), third_party_payment=True)
    store.put(richer)
    assert store.find(richer.id) == replace(richer, created=8)
    store.close()


def test_a_configured_sensor_of_version_1_becomes_a_template(old: Path) -> None:
    with closing(sqlite3.connect(old)) as database, database:
        database.execute("UPDATE state SET uv_enrolled = 1")
    with closing(SqliteStore.open(old)) as store:
        assert store.load().templates == (Template(b"\1"),)


@pytest.mark.parametrize("encoded", ["", "05", "8101", "81814101", "8182606141", "82", "8000"])
def test_templates_without_meaning_are_refused(old: Path, encoded: str) -> None:
    with closing(SqliteStore.open(old)) as store:
        store._change("UPDATE state SET templates = ?", bytes.fromhex(encoded))
        with pytest.raises(StateUnusable):
            store.load()


@given(
    data=st.binary(max_size=100),
    size=st.integers(min_value=0, max_value=2**64 - 1),
    cred_blob=st.binary(max_size=40),
    key=st.none() | st.binary(min_size=32, max_size=32),
    flags=st.tuples(st.booleans(), st.booleans()),
)
def test_what_extensions_keep_survives_its_columns(
    data: bytes, size: int, cred_blob: bytes, key: bytes | None, flags: tuple[bool, bool]
) -> None:
    rich = replace(
        credential(1),
        cred_blob=cred_blob,
        large_blob_key=key,
        third_party_payment=flags[0],
        large_blob_supported=flags[1],
        large_blob=LargeBlob(data, size),
    )
    row = schema.to_row(rich, schema.CREDENTIAL)
    assert schema.credential_of(row) == rich


def test_a_large_blob_without_its_size_is_refused(old: Path) -> None:
    store = SqliteStore.open(old)
    with pytest.raises(StateUnusable):
        store._change("UPDATE credential SET large_blob = x'00'")
    assert store.find(credential(1).id) is not None
    store.close()
