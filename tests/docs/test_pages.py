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


PAGES = [
    *sorted(TOP.glob("*.md")),
    TOP / "hwtests" / "README.md",
    *sorted((TOP / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def linked(page: Path) -> list[tuple[str, str]]:
    """Return the relative targets of a page's links: a file and an anchor, either may be empty."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text()))
    found = [target.partition("#") for target in targets if "://" not in target]
    return [(file, anchor) for file, _, anchor in found]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", FENCE.sub("", text), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        several = (f"{slug}-{number}" for number in range(1, 100))
        found.add(
            slug if slug not in found else next(each for each in several if each not in found)
        )
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(TOP).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in linked(page):
        target = page.parent / file if file else page
        assert target.exists(), f"{page.name} links to {file}"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text()), f"{page.name} links to {file}#{anchor}"


def test_anchors_are_githubs() -> None:
    text = (
        "# `key` list: what, *why*?\n\n## Twice\n\n```sh\n# no\n```\n\n## Twice\n\n### FK101: a_b\n"
    )
    assert anchors(text) == {"key-list-what-why", "twice", "twice-1", "fk101-a_b"}
