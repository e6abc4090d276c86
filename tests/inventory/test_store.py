"""The kept files: private, whole after kill -9, and never overwritten if odd."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.inventory.samples import full, key_of
from tests.support.children import popen

from fidokit.errors import FidokitError, MalformedFile, WouldOverwrite
from fidokit.inventory import store
from fidokit.inventory.kept import Inventory
from fidokit.inventory.store import kept_counters, kept_inventory

WRITER = """
import sys
from pathlib import Path
from fidokit.inventory.kept import KnownPlace, PlaceKind
from fidokit.inventory.store import kept_inventory

key = "SHA256:" + "A" * 43
for number in range(int(sys.argv[3])):
    place = KnownPlace(PlaceKind.HOST, key, f"{sys.argv[2]}-{number}")
    kept_inventory(Path(sys.argv[1])).change(lambda old: old.with_facts(places=[place]))
    print(number, flush=True)
"""


def writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(count)]
    process: subprocess.Popen[str] = popen(command, stdout=subprocess.PIPE, text=True)
    return process


def test_nothing_is_kept_at_first(tmp_path: Path) -> None:
    assert kept_inventory(tmp_path).read() == Inventory()
    assert kept_counters(tmp_path).read().keys == {}
    assert list(tmp_path.iterdir()) == []


def test_private_whatever_the_umask(tmp_path: Path) -> None:
    folder = tmp_path / "state/inventory"
    before = os.umask(0)
    try:
        kept_inventory(folder).change(lambda _: full())
    finally:
        os.umask(before)
    assert kept_inventory(folder).read() == full()
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes == {"inventory.json": 0o600, "inventory.lock": 0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


def test_nothing_is_written_where_nothing_changes(tmp_path: Path) -> None:
    kept = kept_inventory(tmp_path)
    kept.change(lambda _: full())
    before = kept.path.stat().st_ino
    kept.change(lambda old: old.with_facts(keys=old.keys))
    assert kept.path.stat().st_ino == before


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    with writer(tmp_path, "w", 100_000) as process:
        assert process.stdout is not None
        last = [int(process.stdout.readline()) for _ in range(30)][-1]
        process.kill()
        rest = process.stdout.read().split()
    last = int(rest[-1]) if rest else last
    known = {place.where for place in kept_inventory(tmp_path).read().places}
    assert {f"w-{number}" for number in range(last + 1)} <= known
    kept_inventory(tmp_path).change(lambda _: full())  # the lock died with its process
    assert kept_inventory(tmp_path).read() == full()


def test_writers_at_a_time_lose_nothing(tmp_path: Path) -> None:
    processes = [writer(tmp_path, name, 20) for name in "abc"]
    for process in processes:
        process.communicate(timeout=100)
        assert process.returncode == 0
    assert len(kept_inventory(tmp_path).read().places) == 60


def test_a_lock_that_is_held_ends_the_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PATIENCE_S", 0.0)
    with (tmp_path / "inventory.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(FidokitError, match="another process holds the lock"):
            kept_inventory(tmp_path).change(lambda _: full())


@pytest.mark.parametrize("data", [b"", b"{", b'{"schema": 9}', b"\xff\xfe"])
def test_an_odd_file_stays_and_the_advice_begins_anew(tmp_path: Path, data: bytes) -> None:
    kept = kept_inventory(tmp_path)
    kept.path.write_bytes(data)
    for work in (kept.read, lambda: kept.change(lambda _: full())):
        with pytest.raises(MalformedFile, match="cannot be used") as error:
            work()
    assert kept.path.read_bytes() == data
    command = error.value.hint.removeprefix("to begin anew: ")
    subprocess.run(shlex.split(command), check=True)
    assert kept.change(lambda _: full()) == full()


def test_a_huge_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_FILE", 10)
    kept_inventory(tmp_path).path.write_bytes(b" " * 11)
    with pytest.raises(FidokitError, match="larger than 10 bytes"):
        kept_inventory(tmp_path).read()


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    kept = kept_inventory(tmp_path)
    target = tmp_path / "elsewhere"
    kept.path.symlink_to(target)
    with pytest.raises(FidokitError):
        kept.read()
    target.write_bytes(b'{"schema": 1}')
    with pytest.raises(WouldOverwrite):
        kept.change(lambda old: old.with_facts(keys=[key_of(1)]))
    assert target.read_bytes() == b'{"schema": 1}'


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FidokitError, match="is a file, not a folder"):
        kept_inventory(tmp_path / "file/inventory").change(lambda _: full())
