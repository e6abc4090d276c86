"""Locks of our own: only those who may open the file can take them, with an end to the waiting."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fidokit.errors import FidokitError, NoPermission
from fidokit.server import locks

HOLD = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print(flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of root's locks, or a user's."""
    monkeypatch.setattr(locks, "_made", lambda _: tmp_path)
    return tmp_path


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Another process that holds a lock; its number."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        yield process.pid


def taken_at_once() -> None:
    with locks.only_one(patience=0):
        pass


def test_the_holder_is_named_after_the_time_is_up(folder: Path) -> None:
    with locks.only_one():
        pass
    path = folder / "harden.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with held(path) as pid:
        with pytest.raises(FidokitError, match=f"is locked by process {pid} .*python") as refused:
            taken_at_once()
        assert refused.value.hint == "wait for it, or end it, and run the command again"
    taken_at_once()


def test_a_lock_on_the_folder_is_nobodys_business(folder: Path) -> None:
    with held(folder):
        taken_at_once()


def test_a_folder_that_others_may_change_is_not_used(tmp_path: Path) -> None:
    made = locks._made(tmp_path / "a")
    assert stat.S_IMODE(made.stat().st_mode) & 0o022 == 0
    made.chmod(0o777)
    with pytest.raises(NoPermission, match="others than you may change"):
        locks._made(made)
