"""Reports on a large authorized_keys file and on many users; time and memory.

The budget of the file is that of the fingerprints alone (ssh-keygen -lf), although here sshd is
asked for its settings, every key is judged by them, and those that are there twice are found. Many
users are beside the bare questions to sshd, one after the other: it has to be asked about each.
"""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import islice
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
    return [*FIDOKIT, "server", "check", "--long", *named, *rules, *more]


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


# --- many users: as root, on a machine with users of its own -----------------------------------

USERS = 1000
KEYS_EACH = 10
USERS_GOAL = 1.25
SECONDS_CEILING = 10.0
USERS_MEMORY_CEILING = 150.0
"""Megabytes."""

_UID = 20_000
_HASH = "$6$abcdefgh$" + "x" * 86
_ENTER = """
set -e
for name in passwd shadow group; do mount --bind "$1/$name" "/etc/$name"; done
mount --bind "$1/home" /home
shift
exec "$@"
"""


def populate(folder: Path, users: int, keys_each: int) -> list[str]:
    """Write a user database and homes with keys, every third user with a password."""
    sample = folder / "keys"
    write_sample(sample, "ed25519-sk", users * keys_each)
    names = [f"user{number:04}" for number in range(users)]
    for name in ("passwd", "shadow", "group"):
        shutil.copy(f"/etc/{name}", folder / name)
    with (
        (folder / "passwd").open("a") as passwd,
        (folder / "shadow").open("a") as shadow,
        (folder / "group").open("a") as group,
        sample.open() as lines,
    ):
        for uid, name in enumerate(names, _UID):
            passwd.write(f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n")
            shadow.write(f"{name}:{'*' if uid % 3 else _HASH}:19000:0:99999:7:::\n")
            group.write(f"{name}:x:{uid}:\n")
            path = folder / "home" / name / ".ssh" / "authorized_keys"
            path.parent.mkdir(mode=0o700, parents=True)
            path.write_text("".join(islice(lines, keys_each)))
            path.chmod(0o600)
            for place in (path, path.parent, path.parent.parent):
                os.chown(place, uid, uid)
    (folder / "home").chmod(0o755)
    return names


def _entering(folder: Path) -> list[str]:
    mounts = ["unshare", "--mount", "--propagation", "private"]
    return [*mounts, "sh", "-c", _ENTER, "sh", str(folder)]


HARDENED_USERS = 100
HARDEN_CEILING = 30.0


def run_hardening(
    here: Place, rounds: int = 2, users: int = HARDENED_USERS, keys_each: int = KEYS_EACH
) -> Iterator[Result]:
    """Measure the proofs of `server harden` for many users, which root alone can run."""
    if os.geteuid() != 0:
        return
    folder = here.home / "hardened"
    folder.mkdir()
    populate(folder, users, keys_each)
    config = configure(folder, Path(".ssh/authorized_keys"))
    words = ["server", "harden", "hardware-only", "--dry-run", "--config", str(config)]
    command = [*_entering(folder), *FIDOKIT, *words]
    ours, _ = take_turns(seconds_of(command, here.environment), lambda: 1.0, rounds)
    what = f"server harden proves {users:,} users with {keys_each} keys each"
    yield Result(what, ours, "ceiling", HARDEN_CEILING, 1.0)


def run_users(
    here: Place, rounds: int = 2, users: int = USERS, keys_each: int = KEYS_EACH
) -> Iterator[Result]:
    """Measure a report on many users; nothing where root does not run this."""
    if os.geteuid() != 0:
        return
    folder = here.home / "machine"
    folder.mkdir()
    names = populate(folder, users, keys_each)
    config = configure(folder, Path(".ssh/authorized_keys"))
    enter = _entering(folder)
    rules = [f"--require={rule}" for rule in RULES]
    check = shlex.join([*FIDOKIT, "server", "check", "--config", str(config), *rules])
    ask = f"/usr/sbin/sshd -T -f {shlex.quote(str(config))} -C host=h,addr=192.0.2.1,user="
    loop = f"for name in {' '.join(names)}; do {ask}$name; done"
    ours, peer = take_turns(
        seconds_of([*enter, "sh", "-c", f"{check} || test $? = 10"], here.environment),
        seconds_of([*enter, "sh", "-c", loop], here.environment),
        rounds,
    )
    what = f"server check of {users:,} users with {keys_each} keys each"
    yield Result(what, ours, "sshd -T for each, one by one", peer, USERS_GOAL)
    yield Result(f"{what}, on the whole", ours, "ceiling", SECONDS_CEILING, 1.0)
    usage = run_program([*enter, "sh", "-c", f"{check} || test $? = 10"], here.environment)
    peak = usage.peak_memory / 1e6
    yield Result(
        "peak memory for these users", peak, "ceiling", USERS_MEMORY_CEILING, 1.0, unit="MB"
    )
