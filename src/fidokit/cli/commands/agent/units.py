"""`fidokit agent units`: the agent under a user's systemd."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fidokit.cli.options import verb
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt.text import note


@verb()
@click.option("--install", is_flag=True, help="Write them into ~/.config/systemd/user.")
@click.option("--force", is_flag=True, help="Replace units that are there and differ.")
def units(settings: Settings, *, install: bool, force: bool) -> None:
    """Show the units by which systemd starts the agent at its first client, or install them.

    They take the agent's options from ~/.config/fidokit/agent.env:
    FIDOKIT_AGENT_OPTIONS="--resident --pin-cache 10m".
    """
    from fidokit.agent.units import ENABLE, install_systemd_units, systemd_units

    program = this_program()
    texts = systemd_units(program)
    written = install_systemd_units(program, force=force) if install else []
    data = {"units": texts, "installed": [str(path) for path in written]}
    if not install:
        shown = [line for name, text in texts.items() for line in (f"# {name}", *text.splitlines())]
        show(settings, data, Lines(shown))
        return
    show(settings, data, Lines([f"Wrote {home_path(path)}." for path in written]))
    note(f"Now: {ENABLE}")


def this_program() -> Path | None:
    """The fidokit that was called; None where it was called as a module."""
    called = Path(sys.argv[0])
    return called.absolute() if called.name == "fidokit" and called.is_file() else None
