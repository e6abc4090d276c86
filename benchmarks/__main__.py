"""Runs all benchmarks, shows each result as it comes, and rewrites docs/benchmarks.md.

Usage: python -m benchmarks [--quick]    (quick: few rounds, nothing written)
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks import (
    bench_agent,
    bench_authenticator,
    bench_authorized_keys,
    bench_codecs,
    bench_fleet,
    bench_pcsc,
    bench_server_check,
    bench_startup,
    bench_virtual_run,
)
from benchmarks.place import Place, place
from benchmarks.plot import PICTURE, draw
from benchmarks.report import HEADER, rewrite, row
from benchmarks.timing import Result

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def measure(here: Place, *, quick: bool) -> Iterator[Result]:
    """Yield every result; the big files come before what loads libraries into this process."""
    yield from bench_authorized_keys.run(here, 1) if quick else bench_authorized_keys.run(here)
    yield from bench_server_check.run_hardening(here, 1 if quick else 2)
    yield from bench_server_check.run(here, 1) if quick else bench_server_check.run(here)
    yield from (
        bench_server_check.run_users(here, 1) if quick else bench_server_check.run_users(here)
    )
    yield from bench_fleet.run(here, 1) if quick else bench_fleet.run(here)
    yield from bench_startup.run(here, 3) if quick else bench_startup.run(here)
    yield from bench_authenticator.run(here, 3) if quick else bench_authenticator.run(here)
    yield from bench_agent.run(here, 2, 50) if quick else bench_agent.run(here)
    yield from bench_pcsc.run(here, 2, 20) if quick else bench_pcsc.run(here)
    yield from bench_virtual_run.run(here, 2, 3) if quick else bench_virtual_run.run(here)
    yield from (Result(*found) for found in bench_codecs.run())


def main(arguments: list[str]) -> int:
    """Return 0: a missed goal is a result, not a failure."""
    quick = "--quick" in arguments
    results = []
    print("\n".join(HEADER))
    with place() as here:
        for result in measure(here, quick=quick):
            results.append(result)
            print(row(result), flush=True)
    if not quick:
        today = datetime.datetime.now(datetime.UTC).date()
        PAGE.write_text(rewrite(PAGE.read_text(), results, today))
        PICTURE.write_text(draw(PAGE.read_text()))
    missed = sum(not result.met for result in results)
    print(f"\n{len(results) - missed} of {len(results)} goals met")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
