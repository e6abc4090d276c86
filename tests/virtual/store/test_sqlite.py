"""The file behind a token: durable, private, owned by one process, and refused when unfit."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.virtual.conftest import IDENTITY, STATE, credential, file_size_limit, make_sqlite

from fidokit.errors import StateUnusable, TokenNotFound, WouldOverwrite
from fidokit.virtual.core.ports import DurableState, StoredCredential
from fidokit.virtual.store import schema
from fidokit.virtual.store.ownership import lock_path
from fidokit.virtual.store.schema import TokenIdentity
from fidokit.virtual.store.sqlite import COUNTER_BATCH, SqliteStore


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


# --- what lies in the file ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        (schema.STATE, DurableState),
        (schema.CREDENTIAL, StoredCredential),
        (schema.IDENTITY, TokenIdentity),
    ],
)
def test_every_member_has_a_column(columns: dict[str, object], kind: type) -> None:
    assert list(columns) == [field.name for field in fields(kind)]


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=8))
def test_lists_of_text_survive_their_column(rp_ids: list[str]) -> None:
    state = replace(STATE, min_pin_rp_ids=tuple(rp_ids))
    row = schema.to_row(state, schema.STATE)
    assert schema.state_of(row) == state


def test_everything_survives_closing(tmp_path: Path) -> None:
    store = make_sqlite(tmp_path)
    store.put(credential(1))
    store.save(replace(STATE, pin_retries=1, min_pin_rp_ids=("ssh:",)))
    store = reopened(store)
    assert store.identity == IDENTITY
    assert store.load() == replace(STATE, pin_retries=1, min_pin_rp_ids=("ssh:",))
    assert store.find(credential(1).id) is not None
    store.close()


def test_a_closed_token_is_one_private_file_and_its_lock(path: Path) -> None:
    assert sorted(p.name for p in path.parent.iterdir()) == ["token.sqlite", "token.sqlite.lock"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock_path(path).stat().st_mode) == 0o600


def test_the_log_beside_a_powered_token_is_private_too(path: Path) -> None:
    store = SqliteStore.open(path)
    store.put(credential(2))
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    store.close()
    assert "token.sqlite-wal" in modes
    assert set(modes.values()) == {0o600}


def test_a_reset_leaves_no_key_in_any_file(path: Path) -> None:
    secret = b"a very secret key of 32 bytes..."
    store = SqliteStore.open(path)
    store.put(replace(credential(2), secret=secret))
    store.wipe(STATE)
    assert not any(secret in p.read_bytes() for p in path.parent.iterdir())
    store.close()


# --- durability -----------------------------------------------------------------------------


def commits_of(store: SqliteStore, work: Callable[[], object]) -> int:
    """How many transactions, each one flush, the work takes."""
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    work()
    store._db.set_trace_callback(None)
    return statements.count("COMMIT")


def test_every_commit_is_flushed(path: Path) -> None:
    store = SqliteStore.open(path)
    assert store._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert store._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()


def test_at_most_one_flush_per_hundred_signatures(path: Path) -> None:
    store = SqliteStore.open(path)
    drawn = 5 * COUNTER_BATCH
    assert commits_of(store, lambda: [store.next_counter() for _ in range(drawn)]) == 5
    assert COUNTER_BATCH >= 100
    store.close()


def test_looking_flushes_nothing(path: Path) -> None:
    store = SqliteStore.open(path)
    assert commits_of(store, lambda: (store.load(), store.find(credential(1).id))) == 0
    store.close()


@pytest.mark.parametrize("number", [0, 5])
def test_a_counter_jumps_ahead_and_never_repeats(path: Path, number: int) -> None:
    highest = 0
    for _ in range(5):
        store = SqliteStore.open(path)
        first = store.next_counter(number)
        assert highest < first <= highest + COUNTER_BATCH
        highest = max(store.next_counter(number) for _ in range(COUNTER_BATCH + 30))
        store.close()


# --- making ---------------------------------------------------------------------------------


@pytest.mark.parametrize("plugged_in", [True, False])
def test_create_leaves_an_existing_token_alone(path: Path, plugged_in: bool) -> None:
    store = SqliteStore.open(path)
    if not plugged_in:
        store.close()
    before = path.read_bytes()
    with pytest.raises(WouldOverwrite):
        SqliteStore.create(path, IDENTITY, STATE)
    assert path.read_bytes() == before
    store.close()


def test_create_gets_over_a_crashed_creation(tmp_path: Path) -> None:
    (tmp_path / "token.sqlite.new").write_bytes(b"half")
    (tmp_path / "token.sqlite.new-wal").write_bytes(b"log")
    make_sqlite(tmp_path).close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["token.sqlite", "token.sqlite.lock"]


@pytest.mark.parametrize("size", [0, 4096, 20_000])
def test_create_on_a_full_disk_leaves_nothing(tmp_path: Path, size: int) -> None:
    with file_size_limit(size), pytest.raises(StateUnusable) as caught:
        make_sqlite(tmp_path)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


# --- unfit files ----------------------------------------------------------------------------


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def overwritten(path: Path) -> None:
    path.write_bytes(b"SSH " * 3000)


def scrambled(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(b ^ 0x5A for b in data[4096:])
    path.write_bytes(data)


def read_only(path: Path) -> None:
    path.chmod(0o400)


def changed(statement: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            connection.execute("PRAGMA ignore_check_constraints = ON")
            connection.execute(statement)
        connection.close()

    change.__name__ = statement
    return change


UNFIT: dict[str, tuple[Callable[[Path], None], str]] = {
    "truncated": (truncated, "is damaged"),
    "empty": (emptied, "is damaged: it is not an SQLite file"),
    "another format": (overwritten, "is damaged: it is not an SQLite file"),
    "scrambled": (scrambled, "is damaged"),
    "read-only": (read_only, "is read-only"),
    "newer": (changed("PRAGMA user_version = 999"), "has format 999, newer than ours"),
    "another program's": (changed("PRAGMA application_id = 1"), "is not a virtual token's"),
    "no identity": (changed("DELETE FROM identity"), "a row that every token has is missing"),
    "a table missing": (changed("DROP TABLE identity"), "no such table: identity"),
    "impossible value": (changed("UPDATE state SET pin_retries = 99"), "is damaged"),
}


@pytest.mark.parametrize(("spoil", "sentence"), UNFIT.values(), ids=UNFIT.keys())
def test_an_unfit_file_is_named_and_left_byte_for_byte(
    path: Path, spoil: Callable[[Path], None], sentence: str
) -> None:
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StateUnusable, match=sentence) as caught:
        SqliteStore.open(path)
    assert caught.value.hint
    assert not caught.value.message.endswith(".")
    assert path.read_bytes() == before
    assert {p.name for p in path.parent.iterdir()} <= {"token.sqlite", "token.sqlite.lock"}


def test_a_file_cut_at_any_page_or_inside_is_refused(path: Path) -> None:
    store = SqliteStore.open(path)
    store.next_counter(7)  # nothing would be lost with an empty table's page at the end
    store.close()
    whole = path.read_bytes()
    for cut in range(0, len(whole), 1024):
        path.write_bytes(whole[:cut])
        with pytest.raises(StateUnusable):
            SqliteStore.open(path)
        assert path.read_bytes() == whole[:cut]


def test_any_flipped_byte_ends_in_a_token_or_our_error(path: Path) -> None:
    whole = path.read_bytes()
    for at in [*range(100), *range(100, len(whole), 499)]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            store = SqliteStore.open(path)
        except StateUnusable:
            continue
        try:
            store.load()
            store.of_rp(credential(1).rp_id_hash)
        except StateUnusable:
            continue
        finally:
            store.close()


def test_a_meaningless_algorithm_is_damage(path: Path) -> None:
    changed("UPDATE credential SET alg = 12345")(path)
    store = SqliteStore.open(path)
    with pytest.raises(StateUnusable, match="12345 is not a valid CoseAlg"):
        store.find(credential(1).id)
    store.close()


@pytest.mark.parametrize("name", ["none.sqlite", "folder/none.sqlite"])
def test_a_missing_file_is_no_token(tmp_path: Path, name: str) -> None:
    with pytest.raises(TokenNotFound, match="there is no virtual token"):
        SqliteStore.open(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "token.sqlite")
    with pytest.raises(StateUnusable):
        SqliteStore.open(tmp_path / "token.sqlite")


WRITES: dict[str, Callable[[SqliteStore], object]] = {
    "save": lambda store: store.save(replace(STATE, pin_retries=1)),
    "put": lambda store: store.put(credential(7)),
    "delete": lambda store: store.delete(credential(1).id),
    "update_user": lambda store: store.update_user(credential(1).id, "x" * 64, None),
    "wipe": lambda store: store.wipe(replace(STATE, pin_retries=1)),
    "next_counter": lambda store: [store.next_counter() for _ in range(101)],
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES.keys())
def test_a_full_disk_stops_the_write_and_loses_nothing(
    path: Path, write: Callable[[SqliteStore], object]
) -> None:
    before = path.read_bytes()
    store = SqliteStore.open(path)
    with file_size_limit(0), pytest.raises(StateUnusable) as caught:
        write(store)
    assert "free some space" in caught.value.hint
    assert store.load() == STATE
    assert store.find(credential(1).id) is not None
    assert path.read_bytes() == before
    write(store)  # there is room again
    store.close()


def test_a_full_disk_stops_the_opening_too(path: Path) -> None:
    before = path.read_bytes()
    with file_size_limit(0), pytest.raises(StateUnusable) as caught:
        SqliteStore.open(path)
    assert caught.value.hint
    assert path.read_bytes() == before
    SqliteStore.open(path).close()


def test_a_database_at_its_page_limit_says_so(path: Path) -> None:
    store = SqliteStore.open(path)
    store._db.execute("PRAGMA max_page_count = 1").fetchall()
    with pytest.raises(StateUnusable, match="does not fit on its disk"):
        store.save(replace(STATE, min_pin_rp_ids=("x" * 100_000,)))
    assert store.load() == STATE
    store.close()


def test_a_write_against_another_program_gives_up_with_a_sentence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fidokit.virtual.store.file._LOCK_WAIT_S", 0.0)
    store = SqliteStore.open(path)
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnusable, match="is held by another program"):
        store.save(STATE)
    intruder.close()
    store.save(STATE)
    store.close()
