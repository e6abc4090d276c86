"""Folders for tests in which root takes an ordinary user's rights, or that user is meant."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
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
