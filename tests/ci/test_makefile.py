"""The targets: all documented, all declared, and the ones the README names do what it says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
TARGETS = [
    "help",
    "demo",
    "test",
    "test-all",
    "check",
    "kernel-test",
    "matrix",
    "packages",
    "bench",
    "fuzz",
    "soak",
    "docs",
    "site",
    "lock",
    "clean",
]


def make(*arguments: str) -> str:
    # The run of make that this test may be part of hands its variables on.
    env = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    env.pop("MFLAGS", None)
    env.pop("ARGS", None)
    done = subprocess.run(
        ["make", *arguments],
        cwd=TOP,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=env,
    )
    return done.stdout


def test_plain_make_lists_every_target() -> None:
    listed = [line.split()[0] for line in make().splitlines()]
    assert sorted(listed) == sorted(TARGETS)


def test_every_target_is_declared_phony() -> None:
    declared = re.search(r"^\.PHONY: (.*)$", (TOP / "Makefile").read_text(), re.MULTILINE)
    assert declared
    assert sorted(declared[1].split()) == sorted(TARGETS)


@pytest.mark.parametrize(
    ("target", "command"),
    [
        ("demo", ".ci/in-venv run fidokit demo"),
        ("test", '.ci/in-venv test python -u -m pytest -q -n auto -m "not rest"'),
        ("test-all", ".ci/in-venv test-all python -u -m pytest -q -n auto"),
        ("check", ".ci/check"),
        ("kernel-test", ".ci/in-venv test-all python -m pytest -q tests/kernel"),
        ("bench", ".ci/in-venv test-all python -m benchmarks"),
        ("site", ".ci/in-venv site env NO_MKDOCS_2_WARNING=1 mkdocs build --strict"),
        ("lock", ".ci/in-venv lock python .ci/lock.py"),
        ("packages", ".ci/in-venv test-all python -m pytest -q tests/packages"),
    ],
)
def test_what_a_target_runs(target: str, command: str) -> None:
    assert command in " ".join(make("-n", target).split())


@pytest.mark.parametrize(
    ("target", "variable"),
    [("fuzz", "FIDOKIT_FUZZ"), ("soak", "FIDOKIT_KILLS"), ("soak", "FIDOKIT_SOAK")],
)
def test_counts_can_be_given(target: str, variable: str) -> None:
    assert f"{variable}=7 " in make("-n", target, f"{variable}=7")
