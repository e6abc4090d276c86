"""Timing by turns, on measurements that a test chooses."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import timing

TOP = Path(__file__).parents[2]


def scripted(*values: float) -> tuple[Callable[[], float], list[float]]:
    left = list(values)
    return (lambda: left.pop(0)), left


def test_best_round_of_each_and_the_first_does_not_count() -> None:
    ours, ours_left = scripted(0.1, 3.0, 2.0, 4.0)
    peer, peer_left = scripted(0.2, 5.0, 7.0, 6.0)
    assert timing.take_turns(ours, peer, 3) == (2.0, 5.0)
    assert ours_left == peer_left == []


def test_the_two_take_turns() -> None:
    order: list[str] = []

    def side(name: str) -> Callable[[], float]:
        def measure() -> float:
            order.append(name)
            return 1.0

        return measure

    timing.take_turns(side("ours"), side("peer"), 2)
    assert order == ["ours", "peer"] * 3


@pytest.mark.parametrize(("ours", "met"), [(1.0, True), (1.25, True), (1.26, False)])
def test_goal(ours: float, met: bool) -> None:
    result = timing.Result("start", ours, "peer", 1.0, 1.25)
    assert result.ratio == ours
    assert result.met is met


MEASURE = """
import sys
from benchmarks import timing

blank = timing.run([sys.executable, "-c", "pass"], {})
large = timing.run([sys.executable, "-c", "x = b'x' * 200_000_000"], {})
print(blank.seconds, blank.peak_memory, large.peak_memory)
"""


def test_usage_of_a_program() -> None:
    """Measured from a process of its own: the tests' own memory would be the floor."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=TOP, capture_output=True, text=True, check=True
    )
    seconds, blank, large = map(float, done.stdout.split())
    assert 0 < seconds < 60
    assert large - 150_000_000 > blank > 1_000_000


def test_program_gets_only_the_given_environment() -> None:
    check = "import os, sys; sys.exit(dict(os.environ).get('A') != '1' or 'HOME' in os.environ)"
    assert "HOME" in os.environ
    timing.run([sys.executable, "-c", check], {"A": "1"})


def test_program_that_fails_is_no_measurement() -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        timing.run([sys.executable, "-c", "import sys; sys.exit('it broke')"], {})
    assert raised.value.returncode == 1
    assert b"it broke" in raised.value.stderr
