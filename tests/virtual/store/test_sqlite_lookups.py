"""What the store remembers of lookups, and that every write makes it forget."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.virtual.conftest import STATE, credential, make_sqlite

from fidokit.virtual.store.sqlite import LOOKUPS_KEPT, SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A token's file, not plugged in."""
    store = make_sqlite(tmp_path)
    store.put(credential(1))
    store.close()
    return store.path


def looks(store: SqliteStore, work: Callable[[], object]) -> int:
    """How often the credential table is read meanwhile."""
    seen: list[str] = []
    store._db.set_trace_callback(seen.append)
    work()
    store._db.set_trace_callback(None)
    return sum("FROM credential WHERE" in statement for statement in seen)


def test_the_same_lookup_reads_once(path: Path) -> None:
    store = SqliteStore.open(path)
    store.put(credential(1))
    one = store.find(credential(1).id)
    assert looks(store, lambda: [store.find(credential(1).id) for _ in range(9)]) == 0
    assert looks(store, lambda: [store.find(credential(2).id) for _ in range(9)]) == 1
    assert one is not None
    assert looks(store, lambda: [store.of_rp(one.rp_id_hash) for _ in range(9)]) == 1
    store.close()


def test_every_write_forgets_what_was_remembered(path: Path) -> None:
    store = SqliteStore.open(path)
    one, two = credential(1), credential(2)
    writes: list[tuple[Callable[[], object], list[str]]] = [
        (lambda: store.put(one), ["user 1"]),
        (lambda: store.put(two), ["user 2", "user 1"]),
        (lambda: store.update_user(two.id, "new", None), ["new", "user 1"]),
        (lambda: store.delete(one.id), ["new"]),
        (lambda: store.wipe(STATE), []),
    ]
    for write, names in writes:
        write()
        assert [found.user_name for found in store.of_rp(one.rp_id_hash)] == names
        looked_up = [store.find(stored.id) for stored in (two, one)]
        assert [found.user_name for found in looked_up if found] == names
    store.close()


def test_few_lookups_are_remembered(path: Path) -> None:
    store = SqliteStore.open(path)
    for number in range(3 * LOOKUPS_KEPT):
        store.find(credential(number).id)
    assert len(store._lookups) <= LOOKUPS_KEPT
    store.close()
