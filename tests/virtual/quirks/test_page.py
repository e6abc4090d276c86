"""docs/quirks.md is what the catalog says."""

from __future__ import annotations

from tests.virtual.quirks.page import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.virtual.quirks.page"
