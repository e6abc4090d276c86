"""Fingerprints of a large authorized_keys file, beside ssh-keygen -lf; time and peak memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.place import FIDOKIT, Place
from benchmarks.timing import Result, seconds_of, take_turns
from benchmarks.timing import run as run_program

LINES = 100_000
ROUNDS = 5
GOALS = {"ed25519-sk": 0.75, "ecdsa-sk": 0.3}
MEMORY_CEILING = 64.0
"""Megabytes."""


def write_sample(path: Path, kind: str, count: int) -> None:
    """Write a file of keys from another process, whose memory does not count here."""
    with path.open("wb") as out:
        command = [sys.executable, "-m", "benchmarks.sample_keys", kind, str(count)]
        subprocess.run(command, stdout=out, cwd=Path(__file__).parents[1], check=True)


def run(here: Place, rounds: int = ROUNDS, count: int = LINES) -> Iterator[Result]:
    """Measure each kind of key against ssh-keygen, then our peak memory against the ceiling."""
    peaks = []
    for kind, goal in GOALS.items():
        path = here.home / f"{kind}.authorized_keys"
        write_sample(path, kind, count)
        command = [*FIDOKIT, "key", "show", str(path)]
        ours, peer = take_turns(
            seconds_of(command, here.environment),
            seconds_of(["ssh-keygen", "-lf", str(path)], here.environment),
            rounds,
        )
        yield Result(f"fingerprints of {count:,} {kind} keys", ours, "ssh-keygen -lf", peer, goal)
        peaks.append(run_program(command, here.environment).peak_memory / 1e6)
    peak = max(peaks)
    yield Result("peak memory for these", peak, "ceiling", MEMORY_CEILING, 1.0, unit="MB")
