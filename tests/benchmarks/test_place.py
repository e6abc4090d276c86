"""The preparation of a benchmark works, or says what fidokit said."""

from __future__ import annotations

import pytest
from benchmarks.place import FIDOKIT, place
from benchmarks.timing import run

from benchmarks import bench_startup


def test_every_measured_command_runs() -> None:
    with place() as here:
        for name, arguments, goal in bench_startup.commands(here):
            assert run([*FIDOKIT, *arguments], here.environment).seconds > 0, name
            assert 1 < goal <= bench_startup.LIST_GOAL


def test_preparation_that_fails_says_why() -> None:
    with place() as here, pytest.raises(RuntimeError, match="no command"):
        here.fidokit("no-such-verb")
