"""No argument of any bytes ends in a bug: every parameter of every verb gets each of them."""

from __future__ import annotations

import importlib
import os
import pkgutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import click
import pytest
from tests.support.rights import ordinary_user
from tests.support.warm import PRELOADED

import fidokit
from fidokit.agent import service
from fidokit.cli import main
from fidokit.cli.app import root
from fidokit.errors import ExitCode
from fidokit.prompt import questions

pytestmark = pytest.mark.long

VALUES = {
    "empty": "",
    "no UTF-8": "a\udcff\udc80",
    "control": "\x1b[2J\x07\x08\x7f",
    "lines": "a\nb\r\nc\n",
    "turned": "\u202ea\u0300\U0001f511",
    "long": "x" * 100_000,
    "digits": "9" * 5000,
    "dash": "-",
    "list": ",=,;:*?!",
}
LIMIT_S = 60

Verb = tuple[tuple[str, ...], click.Command]


def verbs(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[Verb]:
    """The command's verbs, with what is typed for each."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from verbs(found, (*path, name))


VERBS = dict(verbs(root))


def plain(kind: click.ParamType[object]) -> str:
    """A value that the type takes."""
    match kind:
        case click.Choice():
            return str(kind.choices[0])
        case click.IntRange():
            return str(int(kind.min or 0))
        case _:
            return "1" if kind is click.INT else "thing"


def words(parameter: click.Parameter, value: str) -> list[str]:
    """What is typed for a parameter."""
    values = [value] * max(parameter.nargs, 1)
    return values if isinstance(parameter, click.Argument) else [parameter.opts[0], *values]


def lines(path: tuple[str, ...], verb: click.Command) -> Iterator[list[str]]:
    """Command lines in which one parameter has each of the values; what is needed too is plain."""
    for odd in verb.params:
        if isinstance(odd, click.Option) and (odd.is_flag or odd.count):
            continue
        for value in VALUES.values():
            starts, ends = [*path], ["--"]
            for given in verb.params:
                if given is odd or given.required:
                    typed = words(given, value if given is odd else plain(given.type))
                    (ends if isinstance(given, click.Argument) else starts).extend(typed)
            yield starts + ends


@pytest.fixture
def home(public_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of a user without rights, who finds no program and cannot be asked."""
    for found in pkgutil.walk_packages(fidokit.__path__, "fidokit."):
        if not found.name.endswith("__main__"):
            with suppress(ImportError):  # that user may not be able to
                importlib.import_module(found.name)
    for name in PRELOADED.split():
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    for name in ("FIDOKIT_TOKEN", "SSH_ASKPASS", "SSH_AUTH_SOCK", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(public_folder))
    monkeypatch.setenv("PATH", str(public_folder / "nothing"))
    monkeypatch.setattr("sysconfig.get_path", lambda *_: str(public_folder))  # may be private
    monkeypatch.chdir(public_folder)
    monkeypatch.setattr(questions, "TERMINAL", str(public_folder / "no-terminal"))
    monkeypatch.setattr(service, "UPKEEP_S", 0.01)
    monkeypatch.setattr(service.AgentService, "_look", interrupting(service.AgentService._look))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    with ordinary_user(public_folder):
        yield public_folder
    signal.signal(signal.SIGALRM, before)


def interrupting(look: Callable[..., None]) -> Callable[..., None]:
    """Interrupt each agent once, when it looks for tokens: by then it serves."""
    interrupted = set()

    def look_and_interrupt(agent: object, *args: object) -> None:
        if agent not in interrupted:
            interrupted.add(agent)
            os.kill(os.getpid(), signal.SIGALRM)
        look(agent, *args)

    return look_and_interrupt


@pytest.fixture
def nothing() -> Iterator[TextIO]:
    """A standard input that is empty."""
    with Path("/dev/null").open() as stream:
        yield stream


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
@pytest.mark.usefixtures("home")
def test_any_argument_ends_in_a_documented_status(
    path: tuple[str, ...],
    nothing: TextIO,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", nothing)
    for line in lines(path, VERBS[path]):
        signal.alarm(LIMIT_S)
        try:
            status = main.run(line)
        finally:
            signal.alarm(0)
        sys.stdout.flush()
        said = capfdbinary.readouterr().err
        assert status in set(ExitCode), line
        assert b"this is a bug" not in said, (line, said)
        assert b"\x1b" not in said, line
