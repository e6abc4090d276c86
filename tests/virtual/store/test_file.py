"""Versions of the file: older ones are brought up or left alone; and what size costs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.virtual.conftest import IDENTITY, STATE, credential, file_size_limit, make_sqlite

from fidokit.errors import StateUnusable
from fidokit.virtual.store import schema
from fidokit.virtual.store.file import Contents
from fidokit.virtual.store.sqlite import SqliteStore, read_identity
from fidokit.virtual.token import VirtualToken


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A token's file, not plugged in."""
    store = make_sqlite(tmp_path)
    store.put(credential(1))
    store.close()
    return store.path


def reopened(store: SqliteStore) -> SqliteStore:
    store.close()
    return SqliteStore.open(store.path)


# --- versions -------------------------------------------------------------------------------


def test_an_older_file_is_brought_up_step_by_step(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (*schema.MIGRATIONS, "CREATE TABLE later (x INTEGER) STRICT;")
    monkeypatch.setattr("fidokit.virtual.store.file.MIGRATIONS", steps)
    monkeypatch.setattr("fidokit.virtual.store.file.VERSION", len(steps))
    store = SqliteStore.open(path)
    assert store._db.execute("PRAGMA user_version").fetchone() == (len(steps),)
    assert store._db.execute("SELECT count(*) FROM later").fetchone() == (0,)
    assert store.find(credential(1).id) is not None
    store.close()


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (*schema.MIGRATIONS, "CREATE TABLE later (x INTEGER); CREATE TABLE state (x);")
    monkeypatch.setattr("fidokit.virtual.store.file.MIGRATIONS", steps)
    monkeypatch.setattr("fidokit.virtual.store.file.VERSION", len(steps))
    before = path.read_bytes()
    with pytest.raises(StateUnusable):
        SqliteStore.open(path)
    assert path.read_bytes() == before


OLD = Path(__file__).parents[2] / "vectors" / "virtual" / "version-1.sqlite"
"""Written by the first fidokit: three credentials, one signature given."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.sqlite"
    path.write_bytes(OLD.read_bytes())
    return path


def test_the_first_version_is_read_and_brought_up(old: Path) -> None:
    assert read_identity(old) == IDENTITY
    store = SqliteStore.open(old)
    assert store.load() == STATE
    assert store.of_rp(credential(1).rp_id_hash) == [
        replace(credential(n), created=n) for n in (3, 2, 1)
    ]
    assert store.next_counter() > 100
    assert store.seal is None
    assert store._db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
    store.close()


@pytest.mark.parametrize("size", [0, 4096, 12_000])
def test_a_full_disk_stops_a_migration_and_leaves_the_old_file(old: Path, size: int) -> None:
    before = old.read_bytes()
    with file_size_limit(size), pytest.raises(StateUnusable) as caught:
        SqliteStore.open(old)
    assert "free some space" in caught.value.hint
    assert old.read_bytes() == before
    store = SqliteStore.open(old)
    assert store.count() == 3
    store.close()


def test_a_read_only_file_of_an_older_version_is_left(old: Path) -> None:
    old.chmod(0o400)
    with pytest.raises(StateUnusable, match="is read-only"):
        SqliteStore.open(old)
    assert old.read_bytes() == OLD.read_bytes()


def test_a_damaged_file_of_an_older_version_is_named(old: Path) -> None:
    data = bytearray(old.read_bytes())
    data[8192:] = bytes(len(data) - 8192)
    old.write_bytes(data)
    with pytest.raises(StateUnusable, match="is damaged") as caught:
        SqliteStore.open(old)
    assert caught.value.hint


# --- size -----------------------------------------------------------------------------------


def test_lookups_do_not_depend_on_how_many_credentials_there_are(path: Path) -> None:
    store = SqliteStore.open(path)
    queries = {
        "find": ("SELECT * FROM credential WHERE id = ?", (b"",)),
        "of_user": (
            "SELECT * FROM credential WHERE rp_id_hash = ? AND user_id = ?",
            (b"", b""),
        ),
        "of_rp": ("SELECT * FROM credential WHERE rp_id_hash = ? ORDER BY created DESC", (b"",)),
    }
    for name, (query, parameters) in queries.items():
        plan = store._db.execute(f"EXPLAIN QUERY PLAN {query}", parameters).fetchall()
        steps = [row[3] for row in plan]
        assert all(step.startswith("SEARCH credential USING INDEX") for step in steps), name
    store.close()


def ten_thousand(path: Path) -> SqliteStore:
    credentials = [credential(n, f"ssh:{n % 5000}") for n in range(1, 10_001)]
    return SqliteStore.create_with(path, Contents(IDENTITY, STATE, credentials, revision=7))


def test_ten_thousand_credentials(tmp_path: Path) -> None:
    store = ten_thousand(tmp_path / "many.sqlite")
    store = reopened(store)
    assert store.count() == 10_000
    assert len(store.relying_parties()) == 5000
    assert store.revision() == 7
    assert [c.id for c in store.of_rp(credential(7, "ssh:7").rp_id_hash)] == [
        credential(n).id for n in (5007, 7)
    ]
    found = store.find(credential(9999).id)
    assert found is not None
    assert found.rp_id == "ssh:4999"
    store.close()


def test_ten_thousand_credentials_are_opened_in_no_time(tmp_path: Path) -> None:
    ten_thousand(tmp_path / "many.sqlite").close()
    path, best = tmp_path / "many.sqlite", 1.0
    for _ in range(5):
        began = time.process_time()
        VirtualToken(path).close()
        best = min(best, time.process_time() - began)
    assert best < 0.05
