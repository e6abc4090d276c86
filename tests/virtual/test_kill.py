"""Kill -9 at any instant: what was acknowledged stays, no PIN try returns, no counter repeats.

`make soak` sets FIDOKIT_KILLS for more rounds.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from fidokit.virtual.core.ports import Store
from fidokit.virtual.memory_store import MemoryStore
from fidokit.virtual.sqlite_store import SqliteStore

from . import kill_worker
from .conftest import STATE, make_sqlite

KILLS = int(os.environ.get("FIDOKIT_KILLS", "60"))
WORKER = Path(__file__).with_name("kill_worker.py")
SOURCES = Path(__file__).parents[2] / "src"


def snapshot(store: Store) -> Any:
    parties = store.relying_parties()
    names = [
        [(c.id, c.secret, c.user_name) for c in store.of_rp(party.id_hash)] for party in parties
    ]
    return store.load(), store.count(), parties, names


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    )
    with process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


class Model:
    """What the killed workers acknowledged, in memory."""

    def __init__(self) -> None:
        self.store = MemoryStore(STATE)
        self.done = 0
        self.highest_counter = 0

    def advance(self) -> None:
        kill_worker.apply(self.store, self.done)
        self.done += 1

    def acknowledge(self, line: bytes) -> None:
        word, done, first, last = line.split()
        assert word == b"done"
        assert int(first) > self.highest_counter
        assert int(last) == int(first) + 29
        self.highest_counter = int(last)
        self.advance()
        assert self.done == int(done)


def run_until_killed(
    process: subprocess.Popen[bytes], path: Path, model: Model, rng: random.Random
) -> None:
    out: IO[bytes] | None = process.stdout
    assert out is not None
    assert process.stdin is not None
    process.stdin.write(f"{path} {model.done}\n".encode())
    process.stdin.flush()
    word, pid = out.readline().split()
    assert word == b"worker"
    for _ in range(rng.randint(0, 12)):
        model.acknowledge(out.readline())
    for _ in range(rng.randint(0, 30_000)):  # a random instant inside the next operation
        pass
    os.kill(int(pid), signal.SIGKILL)
    while (line := out.readline()) != b"gone\n":
        model.acknowledge(line)


def test_kill_at_random_instants(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    rng = random.Random()
    model = Model()
    created = make_sqlite(tmp_path)
    created.close()
    in_flight = 0
    for _ in range(KILLS):
        run_until_killed(worker, created.path, model, rng)
        store = SqliteStore.open(created.path)
        try:
            if snapshot(store) != snapshot(model.store):
                # The one operation that was not acknowledged yet may be there, whole.
                model.advance()
                in_flight += 1
            assert snapshot(store) == snapshot(model.store)
            counter = store.next_counter()
            assert counter > model.highest_counter
            model.highest_counter = counter
        finally:
            store.close()
    assert model.done > KILLS
    assert model.highest_counter < model.done * 30 + (2 * KILLS + 1) * 100 + 31
