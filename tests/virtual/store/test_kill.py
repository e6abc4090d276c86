"""Kill -9 at any instant: what was acknowledged stays, no PIN try returns, no counter repeats.

`make soak` sets FIDOKIT_KILLS for more rounds.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import pytest
from tests.support.children import popen
from tests.virtual.conftest import IDENTITY, STATE, credential, make_sqlite
from tests.virtual.store import kill_worker

from fidokit.virtual.core.ports import Store
from fidokit.virtual.store.file import Contents
from fidokit.virtual.store.memory import MemoryStore
from fidokit.virtual.store.schema import VERSION
from fidokit.virtual.store.sealed import SealedStore
from fidokit.virtual.store.sqlite import COUNTER_BATCH, SqliteStore
from fidokit.virtual.token import VirtualToken

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("FIDOKIT_KILLS", "160"))
WORKER = Path(__file__).with_name("kill_worker.py")
ROOT = Path(__file__).parents[3]


def snapshot(store: Store) -> Any:
    parties = store.relying_parties()
    names = [
        [(c.id, c.secret, c.user_name, c.large_blob) for c in store.of_rp(party.id_hash)]
        for party in parties
    ]
    return store.load(), store.count(), parties, names


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    process = popen(
        [sys.executable, WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # a test that failed leaves a worker at work


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


class Worker:
    """One forked worker, from its start to its violent end."""

    def __init__(self, process: subprocess.Popen[bytes], job: str) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._out: IO[bytes] = process.stdout
        process.stdin.write(job.encode() + b"\n")
        process.stdin.flush()
        word, pid = self.line().split()
        assert word == b"worker"
        self._pid = int(pid)

    def line(self) -> bytes:
        return self._out.readline()

    def kill(self, rng: random.Random, spins: int = 30_000) -> list[bytes]:
        """Kill it at a random instant inside its next operation; returns its last words."""
        for _ in range(rng.randint(0, spins)):
            pass
        os.kill(self._pid, signal.SIGKILL)
        return list(iter(self.line, b"gone\n"))


def run_until_killed(worker: Worker, model: Model, rng: random.Random) -> None:
    for _ in range(rng.randint(0, 12)):
        model.acknowledge(worker.line())
    for line in worker.kill(rng):
        model.acknowledge(line)


def make_plain(folder: Path) -> Path:
    created = make_sqlite(folder)
    created.close()
    return created.path


def make_sealed(folder: Path) -> Path:
    path = folder / "token.sqlite"
    SqliteStore.create_with(path, Contents(IDENTITY, STATE), kill_worker.SEAL).close()
    return path


JOBS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], SqliteStore | SealedStore]]] = {
    "store": (make_plain, SqliteStore.open),
    "sealed": (make_sealed, kill_worker.unsealed),
}


@pytest.mark.check("LB-08")
@pytest.mark.parametrize("job", JOBS)
def test_kill_at_random_instants(worker: subprocess.Popen[bytes], tmp_path: Path, job: str) -> None:
    rng = random.Random()
    model = Model()
    make, open_store = JOBS[job]
    path = make(tmp_path)
    in_flight = 0
    for _ in range(KILLS):
        run_until_killed(Worker(worker, f"{job} {model.done} {path}"), model, rng)
        store = open_store(path)
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
    assert model.highest_counter < model.done * 30 + (2 * KILLS + 1) * COUNTER_BATCH + 31


OLD = Path(__file__).parents[2] / "vectors" / "virtual" / "version-1.sqlite"


def test_kill_during_a_migration(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    """A file that an older fidokit wrote is, after each kill, still the same token."""
    path = tmp_path / "old.sqlite"
    rng = random.Random()
    for _ in range(KILLS // 2):
        for left in tmp_path.iterdir():
            left.unlink()
        path.write_bytes(OLD.read_bytes())
        opener = Worker(worker, f"migrate 0 {path}")
        assert opener.line() == b"opening\n"
        opener.kill(rng, 500_000)
        assert 1 <= version_of(path) <= VERSION
        store = SqliteStore.open(path)
        assert (store.load(), store.count()) == (STATE, 3)
        assert store.find(credential(2).id) == replace(credential(2), created=2)
        assert store.next_counter() > 100
        store.close()


def version_of(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def pin_protected(path: Path) -> int:
    """Make a token with a PIN; returns the tries it has."""
    with VirtualToken(path) as token:
        kill_worker.Platform(kill_worker.LinkBench(token)).set_pin("the right one")
    return retries(path)


def retries(path: Path) -> int:
    store = SqliteStore.open(path)
    try:
        return store.load().pin_retries
    finally:
        store.close()


@pytest.mark.check("PIN-25", "PIN-27")
def test_kill_gives_no_pin_try_back(worker: subprocess.Popen[bytes], tmp_path: Path) -> None:
    rng = random.Random()
    left, path = 0, tmp_path / "none"
    for turn in range(KILLS // 2):
        if left < 4:
            path = tmp_path / f"{turn}.sqlite"
            left = pin_protected(path)
        guesser = Worker(worker, f"guess 0 {path}")
        lines = [guesser.line() for _ in range(2 * rng.randint(0, 2) + 1)]
        lines += guesser.kill(rng)
        answered = sum(line.startswith(b"answered") for line in lines)
        tried = lines.count(b"try\n")
        now = retries(path)
        assert left - tried <= now <= max(0, left - answered)  # once blocked, answers are free
        left = now
