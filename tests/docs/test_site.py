"""The site: built strictly, whole, and without anything that another host would have to give."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
LOADS = {"img": "src", "script": "src", "iframe": "src", "source": "src", "object": "data"}
KEEPS = {"canonical", "next", "prev"}
"""Kinds of <link> that load nothing."""

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; mkdocs comes with `make test-all`."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=TOP,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


class Loaded(HTMLParser):
    """What a page has the browser load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in LOADS and (target := given.get(LOADS[tag])):
            self.found.append(target)
        if tag == "link" and given.get("rel") not in KEEPS:
            self.found.append(given.get("href") or "")


def pages(site: Path) -> Iterator[tuple[Path, str]]:
    for page in sorted(site.rglob("*.html")):
        yield page, page.read_text()


def test_every_page_of_docs_is_there(site: Path) -> None:
    there = {page.relative_to(site).with_suffix(".md").as_posix() for page, _ in pages(site)}
    written = {page.relative_to(TOP / "docs").as_posix() for page in (TOP / "docs").rglob("*.md")}
    assert written <= there
    assert {"commands/key.md", "messages.md", "changes.md", "contributing.md"} <= there


def test_pages_load_what_is_beside_them_and_nothing_else(site: Path) -> None:
    for page, text in pages(site):
        for target in Loaded(text).found:
            assert not re.match(r"\w+:|//", target), f"{page.name} loads {target}"
            local = target.partition("?")[0].partition("#")[0]
            assert page.name == "404.html" or (page.parent / local).exists(), target


def test_styles_load_nothing_from_elsewhere(site: Path) -> None:
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text()) == []


def test_no_page_has_a_diagram_for_which_the_theme_would_load_a_program(site: Path) -> None:
    assert [page.name for page, text in pages(site) if 'class="mermaid"' in text] == []


def test_search_knows_commands_messages_and_findings(site: Path) -> None:
    index = (site / "search/search_index.js").read_text()
    for words in ("fidokit server harden", "the PIN is wrong", "FK101"):
        assert words in index


@pytest.mark.interop
def test_search_works_in_a_browser_that_opened_the_folder(site: Path, tmp_path: Path) -> None:
    """Debian's Chromium is no package of `make test-all`: it is asked where it is there."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("no chromium here")
    done = subprocess.run(
        [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={tmp_path}",
            "--virtual-time-budget=30000",
            "--dump-dom",
            f"{(site / 'install.html').as_uri()}?q=pin+wrong",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    found = re.search(r"(\d+) matching documents", done.stdout)
    assert found, done.stderr
    assert int(found[1]) > 10
