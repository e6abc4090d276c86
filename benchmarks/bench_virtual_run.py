"""What a virtual token costs a job: until it is there, and a registration with a login.

libfido2 runs in a process of its own under `fidokit virtual run`, whose reports go through a socket
to the token; beside it runs libfido2 whose io functions hand the same reports to a token in its own
process. Both make a credential and use it, each time on a fresh opening of the device.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.place import FIDOKIT, Place
from benchmarks.timing import Result, seconds_of
from benchmarks.timing import run as run_program

ROUNDS = 20
CEREMONIES = 20
READY_S = 0.150
GOAL = 1.2
ROOT = Path(__file__).parents[1]
_CLIENT = """
import sys, time
sys.path[:0] = {paths!r}
from benchmarks.libfido2_client import best
print(best({where!r}, {count}))
"""


def run(here: Place, rounds: int = ROUNDS, count: int = CEREMONIES) -> Iterator[Result]:
    """Measure both; where libfido2 is not installed, say so and go on."""
    from benchmarks.libfido2_client import installed

    start = seconds_of([*FIDOKIT, "virtual", "run", "--", "true"], here.environment)
    ready = min(start() for _ in range(rounds + 1))
    yield Result("virtual run: until the program starts and ends", ready, "ceiling", READY_S, 1.0)
    if not installed():
        print("not measured under virtual run: libfido2 is not installed", file=sys.stderr)
        return
    ours = min(_seconds(here, "/dev/hidraw90", count) for _ in range(3))
    peer = min(_seconds(here, "", count) for _ in range(3))
    yield Result(
        "registration and login by libfido2 under virtual run", ours, "its io functions", peer, GOAL
    )


def _seconds(here: Place, where: str, count: int) -> float:
    """The best ceremony of a process; `where` is empty for a token in that process."""
    script = _CLIENT.format(paths=[str(ROOT), str(ROOT / "src")], where=where, count=count)
    told = here.home / "seconds"
    command = [
        sys.executable,
        "-c",
        f"{script}",
    ]
    prefix = [*FIDOKIT, "virtual", "run", "--"] if where else []
    told.unlink(missing_ok=True)
    shell = ["sh", "-c", 'exec "$@" >"$0"', str(told), *command]
    run_program([*prefix, *shell], here.environment)
    return float(told.read_text())
