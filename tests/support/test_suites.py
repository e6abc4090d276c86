"""The rule of the two suites: who has which marks, and that no test needs more than it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.suites import BASICS, NEEDS, PROGRAMS

TOP = Path(__file__).parents[2]

MODULE = """
import os, shutil
import pytest
from tests.support.suites import brings

@pytest.fixture
@brings("compiled")
def library():
    return shutil.which("stock")

def test_without_a_mark():
    assert shutil.which("stock") is None
    assert shutil.which("sh") and shutil.which("python")

@pytest.mark.interop
def test_with_one():
    assert shutil.which("stock")

def test_with_a_fixture_that_brings_one(library):
    assert library

@pytest.mark.long
def test_that_is_long_sees_no_more():
    assert shutil.which("stock") is None

@pytest.mark.root
def test_of_root():
    assert os.geteuid() == 0
"""
SKIPS = """
import pytest

@pytest.fixture
def nothing():
    pytest.skip("there is none")

def test_one():
    pytest.skip("no reason")

def test_two(nothing):
    pass

@pytest.mark.skipif(True, reason="never")
def test_three():
    pass

@pytest.mark.interop
def test_may(nothing):
    pass
"""

BREAKS = """
import pytest

@pytest.fixture
def before():
    assert False

@pytest.fixture
def after():
    yield
    assert False

def test_one(before):
    pass

def test_two(after):
    pass
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A suite under the rule, on a machine that has a stock program."""
    program = pytester.mkdir("bin") / "stock"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{TOP}:{TOP / 'src'}")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeini("[pytest]\naddopts = -p tests.support.suites -p no:cacheprovider\n")
    return pytester


def outcomes(project: pytest.Pytester, *arguments: str) -> dict[str, int]:
    return project.runpytest_subprocess(*arguments, timeout=120).parseoutcomes()


def test_each_test_sees_what_it_says_that_it_needs(project: pytest.Pytester) -> None:
    project.makepyfile(MODULE)
    if os.geteuid() == 0:
        assert outcomes(project) == {"passed": 5}
    else:
        assert outcomes(project) == {"passed": 4, "deselected": 1}


def test_one_mark_stands_for_all(project: pytest.Pytester) -> None:
    project.makepyfile(MODULE)
    assert outcomes(project, "-m", "not rest") == {"passed": 1, "deselected": 4}


def test_a_test_that_skips_itself_fails(project: pytest.Pytester) -> None:
    project.makepyfile(SKIPS)
    found = outcomes(project)
    assert found.pop("skipped") == 1
    assert found.pop("failed", 0) + found.pop("errors", 0) == 3


def test_what_breaks_around_a_test_is_reported(project: pytest.Pytester) -> None:
    project.makepyfile(BREAKS)
    assert outcomes(project) == {"passed": 1, "errors": 2}


def test_the_rule_holds_here() -> None:
    """This test has no mark, so this run hides what the basic programs do not need."""
    seen = os.environ["PATH"].split(os.pathsep)
    programs = {path.name for path in Path(seen[-1]).iterdir()}
    assert programs <= {*BASICS.split(), "python", "python3"}
    assert {"sh", "git", "make"} <= programs


def test_marks_that_show_programs_are_marks() -> None:
    assert set(NEEDS) > PROGRAMS


def test_a_folder_brings_a_mark() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-m", "not rest"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests/kernel", "tests/support/test_mutate.py"],
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "test_mutate.py" in done.stdout
    assert "tests/kernel" not in done.stdout
