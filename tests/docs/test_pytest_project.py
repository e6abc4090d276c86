"""The tutorial on tests: its project is the one in docs/examples, and runs as the page says."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.pytest_plugin.conftest import TOP, installed

PAGE = TOP / "docs" / "testing-with-fidokit.md"
PROJECT = TOP / "docs" / "examples" / "pytest-project"
SHOWN = re.compile(
    r"<!-- (?P<file>\S+?)(?:: (?P<names>[^>]+?))? -->\n```python\n(?P<code>.*?)```", re.DOTALL
)
RUN = re.compile(r"```sh\n[^`]*\npytest\n```\n\n```text\n(?P<said>.*?)```", re.DOTALL)


def excerpt(source: str, names: list[str]) -> str:
    """The definitions of these names, decorators included, as they stand in a file."""
    lines = source.splitlines()
    found = {
        node.name: "\n".join(lines[first_line(node) - 1 : node.end_lineno])
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    return "\n\n\n".join(found[name] for name in names) + "\n"


def first_line(node: ast.FunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def expected(shown: re.Match[str]) -> str:
    source = (PAGE.parent / shown["file"]).read_text()
    return excerpt(source, shown["names"].split(", ")) if shown["names"] else source


def shown_parts() -> list[re.Match[str]]:
    return list(SHOWN.finditer(PAGE.read_text()))


@pytest.mark.parametrize("shown", shown_parts(), ids=lambda shown: shown["names"] or shown["file"])
def test_the_page_shows_the_project(shown: re.Match[str]) -> None:
    assert shown["code"] == expected(shown)


def test_the_page_shows_all_of_it() -> None:
    files = {f"examples/{PROJECT.name}/{path.name}" for path in PROJECT.glob("*.py")}
    assert {shown["file"] for shown in shown_parts()} == files
    tests = {
        node.name
        for path in PROJECT.glob("test_*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    assert all(name in PAGE.read_text() for name in tests)


def masked(said: str) -> list[str]:
    """What pytest printed, without what differs between machines and runs."""
    said = re.sub(r"(session starts =+\n).*?(?=collected)", r"\1", said, flags=re.DOTALL)
    said = re.sub(r"in \d+\.\d+s", "in a moment", said)
    said = re.sub(r"=+", "=", said)
    return [line.rstrip() for line in said.splitlines() if line.strip()]


@pytest.mark.interop
def test_the_project_runs_as_the_page_says(tmp_path: Path) -> None:
    site, project = tmp_path / "site-packages", tmp_path / "project"
    site.mkdir()
    installed(site)
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest"],
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": f"{site}:{TOP}/src"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = RUN.search(PAGE.read_text())
    assert told is not None
    assert masked(done.stdout) == masked(told["said"]), done.stdout
    assert done.returncode == 0
