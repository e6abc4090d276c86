"""Timing that holds on a busy machine: both sides take turns, and each is judged by its best round.

Other work on the machine only ever adds time, so the least disturbed round of many is the nearest
to the truth; taking turns makes both sides see the same disturbance.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Measure = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Result:
    """One comparison: a value of ours, a peer's, and the highest ratio that we allow ourselves.

    `unit` is "s" (seconds) or "MB" (10**6 bytes); for memory the peer is a fixed ceiling.
    """

    name: str
    ours: float
    peer_name: str
    peer: float
    goal: float
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Ours as a multiple of the peer's."""
        return self.ours / self.peer

    @property
    def met(self) -> bool:
        """Whether the goal holds."""
        return self.ratio <= self.goal


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of a program took: seconds on the wall clock, peak memory in bytes."""

    seconds: float
    peak_memory: int


def take_turns(ours: Measure, peer: Measure, rounds: int) -> tuple[float, float]:
    """Return the best of `rounds` measurements of each, after one of each that does not count."""
    ours(), peer()
    pairs = [(ours(), peer()) for _ in range(rounds)]
    return min(pair[0] for pair in pairs), min(pair[1] for pair in pairs)


def run(command: Sequence[str], environment: Mapping[str, str]) -> Usage:
    """Run a program to its end, its output thrown away; raises when it fails.

    The peak counts this process's own memory as a floor, as the kernel does for every child.
    """
    with Path(os.devnull).open("r+b") as nothing:
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=nothing,
            stdout=nothing,
            stderr=subprocess.PIPE,
        )
        assert process.stderr
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.stderr.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command), stderr=said)
    return Usage(seconds, usage.ru_maxrss * 1024)


def seconds_of(command: Sequence[str], environment: Mapping[str, str]) -> Measure:
    """Return a measurement that runs a program and gives its seconds."""
    return lambda: run(command, environment).seconds
