"""How long commands take to start, beside a click program that says hello."""

from __future__ import annotations

import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.place import FIDOKIT, Place
from benchmarks.sample_keys import lines
from benchmarks.timing import Result, seconds_of, take_turns

HELLO = '''\
"""The smallest useful click program."""

import click


@click.command()
@click.option("--name", default="world", help="Whom to greet.")
def main(name: str) -> None:
    """Say hello."""
    click.echo(f"hello {name}")
'''
STARTER = "import sys\n\nfrom hello import main\n\nsys.exit(main())\n"
PEER = "click hello-world"
PIN = "123456"
START_GOAL = 1.25
TOKEN_GOAL = 2.6
ROUNDS = 30


def hello(folder: Path) -> list[str]:
    """Write the peer, compiled as an installed program is; returns its command."""
    folder.mkdir()
    (folder / "hello.py").write_text(HELLO)
    (folder / "start").write_text(STARTER)
    py_compile.compile(str(folder / "hello.py"), doraise=True)
    return [sys.executable, str(folder / "start")]


def prepare_token(here: Place) -> list[str]:
    """Make a virtual token with a PIN and two resident keys; returns the options that choose it."""
    pin = here.home / "pin"
    pin.write_text(f"{PIN}\n")
    token = ["--token", "virtual:bench"]
    here.fidokit("virtual", "create", "bench")
    here.fidokit(*token, "pin", "set", "--new-pin-file", str(pin))
    for kind in ("ed25519-sk", "ecdsa-sk"):
        options = ["-t", kind, "-O", "resident", "-O", f"application=ssh:{kind}"]
        options += ["-f", str(here.home / kind), "--no-passphrase", "--pin-file", str(pin)]
        here.fidokit(*token, "key", "generate", *options)
    return token


def commands(here: Place) -> Iterator[tuple[str, list[str], float]]:
    """Yield what is measured: a name, arguments of fidokit, a goal."""
    small = here.home / "small.pub"
    small.write_text("".join(lines("ed25519-sk", 1)))
    yield "fidokit --version", ["--version"], START_GOAL
    yield "fidokit --help", ["--help"], START_GOAL
    yield "fidokit key show FILE (one key)", ["key", "show", str(small)], START_GOAL
    token = prepare_token(here)
    yield "fidokit token info (virtual)", [*token, "token", "info"], TOKEN_GOAL
    listing = [*token, "key", "list", "--pin-file", str(here.home / "pin")]
    yield "fidokit key list (virtual, 2 keys)", listing, TOKEN_GOAL


def run(here: Place, rounds: int = ROUNDS) -> Iterator[Result]:
    """Measure each command against the peer."""
    peer = seconds_of(hello(here.home / "hello"), here.environment)
    for name, arguments, goal in commands(here):
        ours = seconds_of([*FIDOKIT, *arguments], here.environment)
        yield Result(name, *_named(take_turns(ours, peer, rounds)), goal)


def _named(pair: tuple[float, float]) -> tuple[float, str, float]:
    return pair[0], PEER, pair[1]
