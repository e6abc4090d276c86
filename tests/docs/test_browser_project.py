"""The page on browsers: its project is the one in docs/examples, and runs in Debian's Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.docs.test_pytest_project import SHOWN, excerpt
from tests.pytest_plugin.conftest import TOP, installed

PAGE = TOP / "docs" / "browsers.md"
PROJECT = TOP / "docs" / "examples" / "browser-project"
NOT_SHOWN = {"door_site.py"}


def written() -> str:
    """The page with what its project has now."""

    def filled(shown: object) -> str:
        found = SHOWN.fullmatch(str(shown))
        assert found
        source = (PAGE.parent / found["file"]).read_text()
        code = excerpt(source, found["names"].split(", ")) if found["names"] else source
        head = str(shown).partition("\n")[0]
        return f"{head}\n```python\n{code}```"

    return SHOWN.sub(lambda found: filled(found[0]), PAGE.read_text())


def test_the_page_shows_the_project() -> None:
    assert PAGE.read_text() == written()


def test_the_page_shows_every_test_of_it() -> None:
    shown = {found["file"].rpartition("/")[2] for found in SHOWN.finditer(PAGE.read_text())}
    assert shown | NOT_SHOWN == {path.name for path in PROJECT.glob("*.py")}
    tests = (PROJECT / "test_playwright.py").read_text().count("\ndef test_")
    assert PAGE.read_text().count("site, fido_page") == tests


@pytest.mark.interop
@pytest.mark.long
@pytest.mark.skipif("FIDOKIT_MATRIX" in os.environ, reason="browsers are on the host alone")
def test_the_project_passes(tmp_path: Path) -> None:
    installed(tmp_path)
    project = shutil.copytree(PROJECT, tmp_path / "project")
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{TOP / 'src'}"},
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
