"""How long commands take to start, beside a click program that says hello."""

from __future__ import annotations

import py_compile
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
INFO_GOAL, LIST_GOAL = 2.6, 4.0
"""With a virtual token that the command powers itself."""
SERVED_INFO_GOAL, SERVED_LIST_GOAL = 2.0, 3.0
"""With a token that another process serves, as hardware is."""
SERVED_S = 30.0
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
    listing = ["key", "list", "--pin-file", str(here.home / "pin")]
    yield "fidokit token info (virtual)", [*token, "token", "info"], INFO_GOAL
    yield "fidokit key list (virtual, 2 keys)", [*token, *listing], LIST_GOAL
    with served(here, "bench") as options:
        yield "fidokit token info (served)", [*options, "token", "info"], SERVED_INFO_GOAL
        yield "fidokit key list (served, 2 keys)", [*options, *listing], SERVED_LIST_GOAL


@contextmanager
def served(here: Place, name: str) -> Iterator[list[str]]:
    """Have another process power a virtual token; gives the options that reach it there.

    Raises:
        RuntimeError: it was not there in time.
    """
    socket = here.home / f"{name}.sock"
    command = [*FIDOKIT, "virtual", "serve", name, "--socket", str(socket)]
    process = subprocess.Popen(
        command, env=here.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + SERVED_S
        while not socket.exists():
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError("the token is not served")
            time.sleep(0.05)
        yield ["--token", f"socket:{socket}"]
    finally:
        process.terminate()
        process.wait()


def run(here: Place, rounds: int = ROUNDS) -> Iterator[Result]:
    """Measure each command against the peer."""
    peer = seconds_of(hello(here.home / "hello"), here.environment)
    for name, arguments, goal in commands(here):
        ours = seconds_of([*FIDOKIT, *arguments], here.environment)
        yield Result(name, *_named(take_turns(ours, peer, rounds)), goal)


def _named(pair: tuple[float, float]) -> tuple[float, str, float]:
    return pair[0], PEER, pair[1]
