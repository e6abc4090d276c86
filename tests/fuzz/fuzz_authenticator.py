"""Coverage-guided fuzzing of the authenticator's commands and of U2F, by atheris (libFuzzer).

Usage: python -m tests.fuzz.fuzz_authenticator [CORPUS-FOLDER] [-runs=N] [-max_total_time=SECONDS]

Without a corpus it starts from seeds that are the same in every run. Every input is a short life
of a token (see `target`); a broken invariant ends the run with a traceback and the input in a
file. Memory that grows beyond the limit ends it, too.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fidokit.virtual", "fidokit.cbor"]):
    from tests.fuzz.target import live

SEEDS = 300
MOST_MEGABYTES = 300
LONGEST = 400
REPORT_EVERY = 20_000


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
    """Inputs that reach far, so that the fuzzer need not find everything by itself."""
    source = random.Random(1)
    for number in range(SEEDS):
        (folder / f"seed{number}").write_bytes(source.randbytes(source.randrange(20, LONGEST)))


def main(arguments: list[str]) -> None:
    """Fuzz until the runs, the time or an invariant is out."""
    options = [f"-rss_limit_mb={MOST_MEGABYTES}", f"-max_len={LONGEST}", "-len_control=0"]
    with tempfile.TemporaryDirectory() as made:
        seeds(Path(made))
        atheris.Setup([sys.argv[0], *options, *arguments, made], Counted())
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
