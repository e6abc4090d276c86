"""`fidokit agent`: an SSH agent of our own, also under systemd, and keys into any agent."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli import schema
from fidokit.cli.agent_host import METHODS, Confirmer, detaching, log
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import old_passphrase
from fidokit.cli.render import Check, Checks, Column, Lines, Listing, home_path, show, show_cards
from fidokit.cli.settings import Settings, this_program
from fidokit.errors import UsageError
from fidokit.prompt.text import BAD, GOOD, count, escape, note

if TYPE_CHECKING:
    from fidokit.agent.addition import Added
    from fidokit.agent.holdings import ServedKey
    from fidokit.agent.service import AgentOptions, AgentService

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
MOST_SECONDS = 2**31 - 1


def seconds_of(text: str) -> int:
    """A time as OpenSSH writes it (sshd_config(5), TIME FORMATS): 600, 10m, 1h30m; in seconds.

    Raises:
        UsageError: it is none.
    """
    import re

    text = text.lower()
    if not re.fullmatch(r"(\d+[smhdw])*\d+[smhdw]?", text, re.ASCII):
        raise UsageError(f"{text!r} is not a time", hint="write 600, 10m or 1h30m")
    parts = re.findall(r"0*(\d{1,12})\d*([smhdw]?)", text)  # twelve digits are too many already
    return min(sum(int(n) * SECONDS[unit or "s"] for n, unit in parts), MOST_SECONDS)


def _duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    return None if value is None else seconds_of(value)


@verb()
@click.argument("key_files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
@click.option("-a", "path", metavar="PATH", type=click.Path(path_type=Path), help="The socket.")
@click.option("--background", is_flag=True, help="Continue in the background, as ssh-agent does.")
@click.option(
    "--resident", is_flag=True, help="Also serve the resident SSH keys on tokens, without files."
)
@click.option("--remember", is_flag=True, help="Remember the right to list them without a PIN.")
@click.option(
    "--certificates",
    metavar="FOLDER",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Also serve the certificates in FOLDER for keys on tokens.",
)
@click.option("-t", "lifetime", metavar="TIME", callback=_duration, help="Lifetime of added keys.")
@click.option(
    "--pin-cache",
    metavar="TIME",
    callback=_duration,
    default="0",
    help="How long to keep a token's PIN, such as 10m.  [default: ask each time]",
)
@click.option(
    "--pin-prompt",
    type=click.Choice(METHODS),
    default="auto",
    show_default=True,
    help="How to ask for the PIN.",
)
@click.option("--read-only", is_flag=True, help="Do not let clients add or remove keys.")
@click.option(
    "--policy",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Rules for keys: what each may sign, for whom, and how.",
)
@click.option(
    "--upstream",
    metavar="SOCKET",
    help="Also serve the keys of the agent at SOCKET; `auto` finds the desktop's agent.",
)
@click.option("--no-notify", is_flag=True, help="Show no desktop notifications for touches.")
@click.option("--touch-command", metavar="COMMAND", default="", help="Run COMMAND at each touch.")
def serve(
    settings: Settings, *, key_files: tuple[Path, ...], background: bool, **given: Any
) -> None:
    """Run an SSH agent for keys on tokens and others.

    The agent starts with the keys in FILEs and prints the variables that your shell needs: eval
    "$(fidokit agent serve --background)". Under systemd, it uses the socket that systemd passes to
    it. If a key needs a PIN, the agent asks for it on the terminal, by SSH_ASKPASS or by pinentry.
    """
    from fidokit.agent.service import AgentService

    options = _options(settings, key_files, given)
    with detaching(background) as detach:
        service = AgentService(options, Confirmer(), log(background), old_passphrase(None))
        try:
            _warn_where_nobody_can_be_asked(options.pin_prompt, background=background)
            service.harden()
            service.prepare()
            _end_by_signal(service, background=background)
            announce(settings, service, background=background)
            detach()
            service.run()
        finally:
            service.close()


def _warn_where_nobody_can_be_asked(method: str, *, background: bool) -> None:
    """At once, and not when the first key wants its PIN."""
    from fidokit.agent.pin.worker import can_be_asked
    from fidokit.prompt.questions import has_terminal

    if can_be_asked(method, terminal=has_terminal() and not background):
        return
    note(
        "agent: nobody can be asked for a PIN: keys that need one will not sign\n"
        "hint: run it in a terminal without --background, or set SSH_ASKPASS and DISPLAY"
    )


def _options(
    settings: Settings, key_files: tuple[Path, ...], given: dict[str, Any]
) -> AgentOptions:
    from fidokit.agent.service import AgentOptions
    from fidokit.tokens.configuration import configured_folders, configured_selector

    resident = given["resident"]
    if given["certificates"] and not resident:
        raise UsageError(
            "--certificates is for keys that are found on tokens", hint="add --resident"
        )
    certificates = given.pop("certificates") or (configured_folders() if resident else ())
    command = _words(given.pop("touch_command"))
    lifetime = given.pop("lifetime") or None  # 0 is for ever, as ssh-agent's -t has it
    notify = not given.pop("no_notify")
    return AgentOptions(
        key_files=key_files,
        selector=settings.token or configured_selector(),
        lifetime=lifetime,
        touch_command=command,
        notify=notify,
        certificates=certificates,
        **given,
    )


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        raise UsageError(
            f"--touch-command {command!r} has a quote that is not closed",
            hint="the command is split into words as a shell does it, and runs without a shell",
        ) from None


def announce(settings: Settings, service: AgentService, *, background: bool) -> None:
    """Print what ssh-agent prints, for a shell to evaluate."""
    pid, path = os.getpid(), shlex.quote(str(service.path))
    lines = [f"SSH_AUTH_SOCK={path}; export SSH_AUTH_SOCK;"]
    if background:
        lines.append(f"SSH_AGENT_PID={pid}; export SSH_AGENT_PID;")
    data = {"agent": schema.agent(service.path, pid)}
    show(settings, data, Lines([*lines, f"echo Agent pid {pid};"]))
    sys.stdout.flush()  # a script that waits for these lines reads them from a pipe


def _end_by_signal(service: AgentService, *, background: bool) -> None:
    """From before it is announced: who reads the announcement may end it at once.

    SIGUSR1 drops all keys, as for ssh-agent of OpenSSH 10.0.
    """

    def end(_number: int, _frame: object) -> None:
        service.stop()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: service.drop_keys())
    signal.signal(signal.SIGINT, signal.SIG_IGN if background else end)


# --- add -----------------------------------------------------------------------------------

EMPTY = "There are no resident SSH keys on the token. `fidokit key generate -O resident` makes one."


@verb(pin=True)
@click.argument("keys", nargs=-1)
@click.option(
    "-t", "lifetime", metavar="TIME", callback=_duration, help="How long the agent holds them."
)
@click.option("-c", "confirm", is_flag=True, help="Make the agent ask before each use.")
@click.option(
    "-h",
    "hosts",
    metavar="DESTINATION",
    multiple=True,
    help="Allow use only for [user@]host or host>[user@]host.",
)
@click.option(
    "-H",
    "known_hosts",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The file with the keys of these hosts.  [default: known_hosts, as for ssh]",
)
@click.option(
    "-S",
    "--provider",
    metavar="LIBRARY",
    help="The library by which the agent reaches the token: `fidokit`, `internal`, or a path.  "
    "[default: SSH_SK_PROVIDER, else internal]",
)
@click.pass_context
def add(ctx: click.Context, /, settings: Settings, **given: Any) -> None:
    """Put resident keys into the running agent, without files.

    Like `ssh-add -K`: adds all SSH keys on the token, or only KEYS, to the agent that SSH_AUTH_SOCK
    names, and writes no files. KEYS are fingerprints, applications, users or comments.
    """
    from fidokit.agent import AgentClient
    from fidokit.agent.addition import AddOptions, add_to_agent

    options = AddOptions(selectors=given.pop("keys"), **given)
    with AgentClient.of_environment() as agent, open_token(settings) as session:
        results = list(add_to_agent(session, agent, options))
    if results or settings.json:
        data = {"keys": [schema.added(result) for result in results]}
        show(settings, data, Checks([_added_line(result) for result in results]))
    else:
        note(EMPTY)
    if refused := [result.error for result in results if result.error]:
        ctx.exit(refused[0].exit_code)


add.context_settings["help_option_names"] = ["--help"]  # -h is a destination, as for ssh-add


def _added_line(result: Added) -> Check:
    name = f"{result.comment} ({result.row.fingerprint})"
    if result.error is None:
        return Check("added", GOOD, name, "")
    return Check("NOT ADDED", BAD, f"{name}: {result.error.message}", result.error.hint)


# --- list ----------------------------------------------------------------------------------

HELD = (
    Column("Key", "1", least=18),
    Column("Type"),
    Column("On token"),
    Column("Valid until", drop=1),
)
NO_KEYS = """The agent shows no keys: it has none, or is locked.
Give it those of the token: fidokit agent add"""


@verb()
@click.option("--long", "long_", is_flag=True, help="Also show fingerprints and applications.")
def list_held(settings: Settings, *, long_: bool) -> None:
    """List the keys that the running agent holds.

    Asks the agent that SSH_AUTH_SOCK names, whichever it is, and changes nothing in it. Shows one
    line for each key; --long shows more. A key on a token may ask for a touch or a PIN when it is
    used.
    """
    from fidokit.agent import AgentClient
    from fidokit.agent.holdings import agent_holdings

    with AgentClient.of_environment() as agent:
        found = agent_holdings(agent)
    who = f" ({found.program})" if found.program else ""
    number = count(len(found.keys), "key")
    footer = f"{number}; --long shows details.\nAgent: {escape(f'{found.socket}{who}')}"
    rows = [_held_row(key) for key in found.keys]
    columns = (*HELD, Column("Fingerprint"), Column("Application"))
    short = Listing(HELD, [row[: len(HELD)] for row in rows], NO_KEYS, footer)
    listing = Listing(columns, rows, NO_KEYS, footer, short)
    if long_ and not settings.json:
        show_cards(listing)
    else:
        show(settings, schema.holdings(found), listing)


def _held_row(key: ServedKey) -> tuple[str, ...]:
    until = "" if key.valid_before is None else schema.until(key) or "forever"
    on_token = "yes" if key.on_token else "no"
    name, kind = key.comment or key.fingerprint, key.type_label or "unknown"
    return name, kind, on_token, until, key.fingerprint, key.application or ""


# --- units -------------------------------------------------------------------------------


@verb()
@click.option("--install", is_flag=True, help="Write the units and let systemd start the agent.")
@click.option("--remove", is_flag=True, help="Stop the agent and remove the units.")
@click.option("--force", is_flag=True, help="Replace or remove units even if they were changed.")
def units(settings: Settings, *, install: bool, remove: bool, force: bool) -> None:
    """Show or install the agent's units for systemd, or remove them.

    The units are in ~/.config/systemd/user. With them, systemd starts the agent when its first
    client connects, which also serves the keys of the desktop's agent. The agent's options are in
    ~/.config/fidokit/agent.env: FIDOKIT_AGENT_OPTIONS="--resident --pin-cache 10m".
    """
    from fidokit.agent.units import (
        ENABLE,
        install_systemd_units,
        remove_systemd_units,
        start_systemd_units,
        systemd_units,
    )

    if install and remove:
        raise click.UsageError("--install and --remove exclude each other")
    if remove:
        gone = remove_systemd_units(force=force)
        lines = Lines([f"Removed {home_path(path)}." for path in gone])
        show(settings, {"removed": [str(path) for path in gone]}, lines)
        if not gone:
            note("The units are not installed.")
        return
    program = this_program()
    texts = systemd_units(program)
    written = install_systemd_units(program, force=force) if install else []
    data = {"units": texts, "installed": [str(path) for path in written]}
    if not install:
        shown = [line for name, text in texts.items() for line in (f"# {name}", *text.splitlines())]
        show(settings, data, Lines(shown))
        return
    show(settings, data, Lines([f"Wrote {home_path(path)}." for path in written]))
    why = start_systemd_units()
    if why:
        note(f"systemd did not start the agent: {why}")
        note(f"Now: {ENABLE}")
    else:
        note("The agent is set up. Programs that you start from now on find it.")
