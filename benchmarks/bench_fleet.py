"""The plan of a large fleet: a policy read, and the saved audit of each host held against it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from benchmarks.fleet_sample import write_audits, write_policy
from benchmarks.place import FIDOKIT, Place
from benchmarks.timing import Result, Usage
from benchmarks.timing import run as run_program

HOSTS = 10_000
"""With 10 keys of their own each: 100,000 keys in the policy."""

SECONDS_CEILING = 30.0
MEMORY_CEILING = 500.0
"""Megabytes."""


def run(here: Place, rounds: int = 3, hosts: int = HOSTS) -> Iterator[Result]:
    """Measure the plan of hosts of which every tenth differs from the policy."""
    audits = here.home / "audits"
    audits.mkdir()
    policy = here.home / "policy.toml"
    keys = write_policy(policy, hosts)
    differing = write_audits(audits, hosts)
    words = ["fleet", "plan", "--policy", str(policy), "--from-audit", str(audits)]
    usages = [_planned(here, words, differing) for _ in range(rounds)]
    what = f"fleet plan of {hosts:,} hosts and {keys:,} keys"
    seconds = min(usage.seconds for usage in usages)
    yield Result(what, seconds, "ceiling", SECONDS_CEILING, 1.0)
    peak = max(usage.peak_memory for usage in usages) / 1e6
    yield Result("peak memory for this plan", peak, "ceiling", MEMORY_CEILING, 1.0, unit="MB")


def _planned(here: Place, words: list[str], differing: int) -> Usage:
    """One run; the status says whether it saw that something differs."""
    expected = 10 if differing else 0
    command = ["sh", "-c", f'"$@"; test $? = {expected}', "sh", *FIDOKIT, *words]
    try:
        return run_program(command, here.environment)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"the plan did not end with {expected}: {error.stderr!r}") from None
