"""Every page is true: its commands, run now in an empty home, print what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.pages import TOP, comparable, executed_pages
from tests.docs.rewrite import executed


@pytest.mark.interop
@pytest.mark.parametrize("page", executed_pages(), ids=lambda page: page.stem)
def test_page_is_what_its_commands_print(page: Path) -> None:
    text = page.read_text()
    assert comparable(executed(text)).splitlines() == comparable(text).splitlines(), (
        "run `make docs` and read the difference"
    )


def linked(page: Path) -> list[str]:
    """Return the relative targets of a page's links."""
    targets = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    return [target.partition("#")[0] for target in targets if "://" not in target]


@pytest.mark.parametrize(
    "page", [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))], ids=lambda page: page.stem
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in linked(page):
        assert not target or (page.parent / target).exists(), f"{page.name} links to {target}"
