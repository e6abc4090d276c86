"""The page on tokens in CI: its files are those of docs/examples/ci, and each runs where it can."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.pytest_plugin.conftest import installed

TOP = Path(__file__).parents[2]
PAGE = (TOP / "docs" / "ci.md").read_text()
FILES = TOP / "docs" / "examples" / "ci"
SHOWN = re.compile(r"<!-- examples/ci/(\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
FIDOKIT = Path(sys.executable).with_name("fidokit")
WITH = ("rustc --test -o token token.rs",)
"""What is done before, as the page says."""

RUNS = {
    "token.sh": ((), "./token.sh"),
    "token.test.mjs": (("node",), "node --test token.test.mjs"),
    "Token.java": (("java", "javac"), "java Token.java"),
    "token.rs": (("rustc",), "./token"),
    "token.go": (("go",), "go run token.go"),
}
"""What each needs beside the packages of `make test-all`, and the command that the page gives."""
PYTEST = "test_token.py"
"""The file that finds the token by fixtures."""


def test_the_page_shows_the_files_and_all_of_them() -> None:
    shown = dict(SHOWN.findall(PAGE))
    assert shown == {path.name: path.read_text() for path in FILES.iterdir()}
    assert set(shown) == {PYTEST, *RUNS}


@pytest.mark.parametrize("name", RUNS)
def test_the_page_gives_the_command(name: str) -> None:
    assert f"`fidokit virtual run -- {RUNS[name][1]}`" in PAGE


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("RUSTUP_HOME", "CARGO_HOME") if name in os.environ}
    for name, below in {"RUSTUP_HOME": ".rustup", "CARGO_HOME": ".cargo"}.items():
        kept.setdefault(name, str(Path.home() / below))  # the home is another one below
    path = f"{FIDOKIT.parent}:{os.environ['PATH']}"
    return subprocess.run(
        command.split(),
        cwd=folder,
        env={**kept, "PATH": path, "HOME": str(folder), "GOFLAGS": "-mod=mod", "GOPROXY": "off"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.interop
@pytest.mark.compiled
@pytest.mark.parametrize("name", RUNS)
def test_each_file_runs(name: str, tmp_path: Path) -> None:
    programs, command = RUNS[name]
    if missing := [program for program in programs if not shutil.which(program)]:
        pytest.skip(f"no toolchain here: {', '.join(missing)}")
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copy(FILES / name, folder)
    for before in WITH:
        if before.split()[0] in programs:
            assert run(before, folder).returncode == 0
    done = run(f"{FIDOKIT} virtual run -- {command}", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    without = run(command, folder)
    assert not Path("/dev/hidraw90").exists()
    assert without.returncode != 0, "what passes without a token shows nothing"


@pytest.mark.interop
@pytest.mark.compiled
@pytest.mark.parametrize(("without", "code"), [((), 0), (("-p", "no:fidokit"), 1)])
def test_pytest_runs_its_file(tmp_path: Path, without: tuple[str, ...], code: int) -> None:
    """By the plug-in, and not without it."""
    assert f"`pytest {PYTEST}`" in PAGE
    installed(tmp_path)
    shutil.copy(FILES / PYTEST, tmp_path)
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *without, PYTEST],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{TOP / 'src'}", "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert ("2 passed" in done.stdout) == (code == 0)


def workflows() -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_definitions_are_yaml_and_run_the_tests_under_it() -> None:
    github, by_action, gitlab = (yaml.safe_load(each) for each in workflows())
    assert "fidokit virtual run" in github["jobs"]["test"]["steps"][-1]["run"]
    given = by_action["jobs"]["test"]["steps"][-1]["with"]
    assert given.keys() <= yaml.safe_load((TOP / "action.yml").read_text())["inputs"].keys()
    assert gitlab["test"]["script"] == ["fidokit virtual run -- ./token.sh"]


@pytest.mark.long
@pytest.mark.parametrize("which", [0, 1])
def test_githubs_is_taken_by_actionlint(tmp_path: Path, which: int) -> None:
    """It comes with `make test-all`."""
    file = tmp_path / "ci.yml"
    file.write_text(workflows()[which])
    linter = Path(sys.executable).with_name("actionlint")
    done = subprocess.run(
        [linter, "-no-color", file], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
