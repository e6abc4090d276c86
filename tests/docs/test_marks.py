"""Commands that no test can run here are marked as read, not run, on the page that shows them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
UNTRIED = re.compile(r"^(?:sudo )?(?:docker|podman)\b|`docker run", re.MULTILINE)
"""Programs that the tests do not have."""
MARK = re.compile(r"read,\s+not\s+run", re.IGNORECASE)
BY_HAND = {"release.md"}
"""What a maintainer does, and the page says that nothing of it was done."""
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if UNTRIED.search(path.read_text()) and path.name not in BY_HAND
)


@pytest.mark.parametrize("name", PAGES)
def test_a_section_with_such_a_command_is_marked(name: str) -> None:
    for section in re.split(r"^## ", (DOCS / name).read_text(), flags=re.MULTILINE):
        if UNTRIED.search(section):
            assert MARK.search(section), section.partition("\n")[0]


def test_such_pages_are_found() -> None:
    assert {"install.md", "provider.md", "recipes.md", "transports/socket.md"} <= set(PAGES)
