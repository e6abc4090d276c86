"""Coverage-guided fuzzing of the authenticator's commands and of U2F, by atheris (libFuzzer).

Usage: python -m tests.fuzz.fuzz_authenticator [CORPUS-FOLDER] [-max_total_time=SECONDS] [...]

FIDOKIT_FUZZ says how many inputs. Each one is a short life of a token of about eight requests, and
the invariants of `target` are judged after every request. One that does not hold ends the run with
a traceback and the input in a file, which given as an argument is run again alone. Memory that
grows beyond a limit ends it, too.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("fuzz: atheris is not installed; it has wheels for Linux and Python 3.11 to 3.13")

with atheris.instrument_imports(include=["fidokit.virtual", "fidokit.cbor"]):
    from tests.fuzz.target import live

SEEDS = 300
MOST_MEGABYTES = 300
LONGEST = 400
REPORT_EVERY = 10_000


class Counted:
    """Lives, and how many requests they had in all."""

    def __init__(self) -> None:
        self.lives = self.requests = 0

    def __call__(self, data: bytes) -> None:
        self.lives += 1
        self.requests += live(data)
        if self.lives % REPORT_EVERY == 0:
            print(f"{self.lives} lives, {self.requests} requests", flush=True)


def seeds(folder: Path) -> None:
    """The same in every run: long enough that the fuzzer need not learn to write by itself."""
    source = random.Random(1)
    for number in range(SEEDS):
        (folder / f"seed{number}").write_bytes(source.randbytes(source.randrange(20, LONGEST)))


def main(arguments: list[str]) -> None:
    """Fuzz until the runs, the time or an invariant is out."""
    runs = int(os.environ.get("FIDOKIT_FUZZ", "10000"))
    options = [f"-runs={runs}", f"-max_len={LONGEST}", "-len_control=0"]
    options += [f"-rss_limit_mb={MOST_MEGABYTES}", "-print_final_stats=1", "-verbosity=0"]
    with tempfile.TemporaryDirectory() as made:
        one_file = len(arguments) == 1 and Path(arguments[0]).is_file()
        if not one_file:
            seeds(Path(made))
        atheris.Setup([sys.argv[0], *options, *arguments, *([] if one_file else [made])], Counted())
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
