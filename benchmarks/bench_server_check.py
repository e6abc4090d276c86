"""A report on a large authorized_keys file, beside ssh-keygen -lf on the same; time and memory.

The budget is that of the fingerprints alone, although here sshd is asked for its settings, every
key is judged by them, and those that are there twice are found.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench_authorized_keys import GOALS, LINES, MEMORY_CEILING, ROUNDS, write_sample
from benchmarks.place import FIDOKIT, Place
from benchmarks.timing import Result, seconds_of, take_turns
from benchmarks.timing import run as run_program

RULES = ("hardware", "no-password")


def configure(folder: Path, keys: Path) -> Path:
    """Write a configuration of sshd that any user can ask about."""
    host_key = folder / "host_key"
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(host_key)]
    if not host_key.exists():
        subprocess.run(make, check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd run by root insists on it
    config = folder / "sshd_config"
    config.write_text(
        f"HostKey {host_key}\nAuthorizedKeysFile {keys}\nStrictModes no\nUsePAM yes\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    )
    return config


def command(config: Path, *more: str) -> list[str]:
    """The command that reports on this user."""
    user = pwd.getpwuid(os.geteuid()).pw_name
    rules = [part for rule in RULES for part in ("--require", rule)]
    named = ["--config", str(config), "--user", user]
    return [*FIDOKIT, "server", "check", *named, *rules, *more]


def run(here: Place, rounds: int = ROUNDS, count: int = LINES) -> Iterator[Result]:
    """Measure each kind of key against ssh-keygen, then our peak memory, as JSON too."""
    peaks = []
    for kind, goal in GOALS.items():
        path = here.home / f"{kind}.checked"
        write_sample(path, kind, count)
        check = command(configure(here.home, path))
        ours, peer = take_turns(
            seconds_of(check, here.environment),
            seconds_of(["ssh-keygen", "-lf", str(path)], here.environment),
            rounds,
        )
        yield Result(f"server check of {count:,} {kind} keys", ours, "ssh-keygen -lf", peer, goal)
        ways = (check, [*check, "--json"])
        peaks += [run_program(way, here.environment).peak_memory / 1e6 for way in ways]
    yield Result("peak memory for these", max(peaks), "ceiling", MEMORY_CEILING, 1.0, unit="MB")
