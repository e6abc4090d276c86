"""Metadata of a test's own in the place of the installed package's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.metadata.samples import U2F_ENTRY, named, write

from fidokit.metadata import catalog

Shelf = Callable[..., None]


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Shelf:
    """Put entries in the place of the installed metadata."""
    real = catalog.load

    def put(*entries: Any) -> None:
        path = write(tmp_path, *entries)
        monkeypatch.setattr(catalog, "load", lambda: real(path))

    return put


@pytest.fixture
def three(shelf: Shelf) -> None:
    shelf(named("Example Key", 1), named("Example Key", 2), named("Another", 3), U2F_ENTRY)
