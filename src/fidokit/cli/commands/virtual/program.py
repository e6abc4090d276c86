"""`fidokit virtual run`: a program for which virtual tokens are USB keys."""

from __future__ import annotations

import sys
from functools import partial

import click

from fidokit.cli.commands.virtual.repeating import repeating, repeating_options
from fidokit.cli.interaction import TerminalInteraction
from fidokit.cli.options import verb
from fidokit.cli.passphrase import known_if_sealed, seal_passphrase_option
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError

_SELECTOR = "virtual:"


@verb()
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--with",
    "others",
    metavar="NAME",
    multiple=True,
    help="Another virtual token. Can be repeated; they follow that of --token, in this order.",
)
@click.option("--profile", metavar="NAME", help="The protocol of a temporary token.")
@click.option(
    "--model", metavar="AAGUID|NAME", help="The model that a temporary token behaves like."
)
@click.option(
    "--quirk",
    "quirks",
    metavar="NAME",
    multiple=True,
    help="A quirk of a temporary token. Can be repeated.",
)
@click.option(
    "--presence",
    metavar="POLICY",
    help="Who touches the tokens, as for `virtual create --presence`.",
)
@repeating_options
@seal_passphrase_option
def run(
    settings: Settings,
    *,
    command: tuple[str, ...],
    others: tuple[str, ...],
    profile: str | None,
    model: str | None,
    quirks: tuple[str, ...],
    presence: str | None,
    seed: str | None,
    clock: int | None,
    passphrase_file: str | None,
) -> int:
    """Run a program that sees a virtual token as a USB key.

    COMMAND is a program and its arguments, best after --. The program and its children see the
    token of --token, or a temporary one, at /dev/hidraw90. Needs no root, no kernel module and no
    settings. Ends with the program, and with its exit status.

    \b
    fidokit virtual run -- ssh-keygen -t ed25519-sk -f key
    fidokit virtual run --token virtual:work -- fido2-token -L

    Does not work for programs that are statically linked or setuid. Inside the program, `fidokit
    virtual touch` and similar commands act on the first token.
    """
    from fidokit.lab.bay import kept_in_memory
    from fidokit.lab.control import control_path
    from fidokit.lab.named_tokens import serve_virtual
    from fidokit.lab.program import ProgramToken, require_reachable, run_program, throw_away

    require_reachable(command[0])
    made_up = {"--profile": profile, "--model": model, "--quirk": quirks}
    names = [name.removeprefix(_SELECTOR) for name in (settings.token, *others) if name]
    if names and (given := [option for option, value in made_up.items() if value]):
        raise UsageError(
            f"{given[0]} is for a temporary token, and --token or --with names one",
            hint=f"leave one of them out, or: fidokit virtual create NAME {given[0]} ...",
        )
    world = repeating(seed, clock)
    tokens = []
    for name in names:
        plug = partial(
            serve_virtual,
            name,
            presence=presence,
            passphrase=known_if_sealed(name, passphrase_file),
            interaction=TerminalInteraction(settings),
            world=world,
        )
        tokens.append(ProgramToken(f"{_SELECTOR}{name}", plug, control_path(name)))
    if not tokens:
        made = throw_away(
            profile=profile, model=model, quirks=quirks, presence=presence, world=world
        )
        tokens.append(ProgramToken("the temporary token", partial(kept_in_memory, made)))

    def tell(paths: list[str]) -> None:
        named: list[str | None] = [*(f"{_SELECTOR}{name}" for name in names)] or [None]
        pairs = [{"token": n, "path": path} for n, path in zip(named, paths, strict=True)]
        show(settings, {"tokens": pairs}, Lines([]))
        sys.stdout.flush()  # before the program prints anything

    return run_program(command, tokens, tell)


run.context_settings["allow_interspersed_args"] = False  # what follows is the program's
