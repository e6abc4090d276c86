"""Folders for tests in which root takes an ordinary user's rights, or that user is meant."""

from __future__ import annotations

import os
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support.children import place

NOBODY = 65534


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """One that every user reaches. The way to `tmp_path` is closed to others, and has to be."""
    with tempfile.TemporaryDirectory(prefix="public-", dir=place()) as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def ordinary_user(*folders: Path) -> Iterator[None]:
    """The block has no more than an ordinary user's rights, and that user owns the folders."""
    if os.geteuid() != 0:
        yield
        return
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY, NOBODY)
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def as_ordinary(work: Callable[[], None], user: int = NOBODY, group: int = NOBODY) -> None:
    """Do something in a process that has an ordinary user's rights; its failure is this test's.

    A fork, since the tree and Python may lie where that user may not read: what the work needs has
    to be imported before. What it starts runs as if that user had started it.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
            os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"
            work()
            status = 0
        except BaseException:  # noqa: BLE001  told to the parent, whatever it is
            traceback.print_exc()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
