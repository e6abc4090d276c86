"""The checks: all run, or those that are named; and the linters find mistakes."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ci.conftest import TOP, Machine

PROGRAMS = ("ruff", "mypy", "lint-imports", "shellcheck", "actionlint", "pre-commit")
TOOL = """#!/bin/sh
printf '%s %s\\n' "${0##*/}" "$*" >>"$CALLS"
[ "${0##*/}" != "${BREAKS:-}" ] || { echo "trouble in line 7"; exit 1; }
"""
NAMES = {
    "ruff": "ruff check",
    "ruff-format": "ruff format",
    "mypy": "mypy src",
    "import-linter": "lint-imports",
    "shellcheck": "shellcheck",
    "workflows": "actionlint",
    "pre-commit": "pre-commit validate-config",
    "signals": "python .ci/signals.py",
}


@pytest.fixture
def tree(machine: Machine) -> Machine:
    machine.have("ensurepip")
    assert machine.run(".ci/setup", "check").returncode == 0
    for name in PROGRAMS:
        path = machine.clone / ".venv/bin" / name
        path.write_text(TOOL)
        path.chmod(0o755)
    machine.calls()
    return machine


def test_runs_everything(tree: Machine) -> None:
    done = tree.run(".ci/check")
    assert done.returncode == 0, done.stderr
    calls = tree.calls()
    for beginning in NAMES.values():
        assert [call for call in calls if call.startswith(beginning)], beginning


@pytest.mark.parametrize(("name", "beginning"), NAMES.items())
def test_runs_one_by_its_name(tree: Machine, name: str, beginning: str) -> None:
    assert tree.run(".ci/check", name).returncode == 0
    calls = tree.calls()
    assert len(calls) == 1
    assert calls[0].startswith(beginning)


def test_the_usage_lists_every_name() -> None:
    usage = re.search(r"The names: (.*)\.\n", (TOP / ".ci/check").read_text())
    assert usage
    assert sorted(usage[1].split()) == sorted(NAMES)


def test_unknown_name_is_refused(tree: Machine) -> None:
    done = tree.run(".ci/check", "ruff", "mypi")
    assert done.returncode == 2
    assert "no check is called mypi" in done.stderr
    assert tree.calls() == []


def test_one_failure_is_shown_and_hides_no_other(tree: Machine) -> None:
    done = tree.run(".ci/check", BREAKS="mypy")
    assert done.returncode == 1
    assert "trouble in line 7" in done.stdout
    assert "failed: mypy" in done.stderr
    assert re.search(r"^workflows +ok$", done.stdout, re.MULTILINE)


def test_every_script_is_linted(tree: Machine) -> None:
    tree.run(".ci/check", "shellcheck")
    named = set(tree.calls()[0].split())
    scripts = {path for path in (TOP / ".ci").iterdir() if path.suffix != ".py" and path.is_file()}
    assert {f".ci/{path.name}" for path in scripts} - named == {
        ".ci/debian-packages",
        ".ci/one-file.txt",
    }


def linter(name: str) -> str:
    """Return a linter of `make check`, which comes with all tests, too."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is missing beside {sys.executable}"
    return found


GOOD = """\
on: push
jobs:
  one:
    runs-on: ubuntu-24.04
    steps:
      - run: make check
"""


@pytest.mark.interop
@pytest.mark.parametrize(
    ("good", "bad", "said"),
    [
        ("runs-on:", "run-on:", "run-on"),
        ("ubuntu-24.04", "ubuntu-24.40", "ubuntu-24.40"),
        ("make check", "${{ matrix.nothing }}", "nothing"),
        ("make check", 'cd "$(pwd', "shellcheck"),
    ],
)
def test_actionlint_finds_mistakes(tmp_path: Path, good: str, bad: str, said: str) -> None:
    actionlint, shellcheck = linter("actionlint"), linter("shellcheck")
    workflow = tmp_path / "ci.yml"

    def lint(text: str) -> subprocess.CompletedProcess[str]:
        workflow.write_text(text)
        command = [actionlint, "-no-color", "-shellcheck", shellcheck, str(workflow)]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )

    assert lint(GOOD).returncode == 0
    done = lint(GOOD.replace(good, bad))
    assert done.returncode == 1
    assert said in done.stdout


@pytest.mark.interop
def test_the_workflows_lint_clean() -> None:
    workflows = sorted(str(path) for path in (TOP / ".github/workflows").glob("*.yml"))
    command = [linter("actionlint"), "-no-color", "-shellcheck", linter("shellcheck"), *workflows]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == ""
    assert done.returncode == 0
