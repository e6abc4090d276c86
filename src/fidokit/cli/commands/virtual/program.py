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
    help="One more virtual token. Repeatable; they come behind --token's, in this order.",
)
@click.option("--profile", metavar="NAME", help="What a throw-away token speaks.")
@click.option(
    "--model", metavar="AAGUID|NAME", help="The model that a throw-away token stands for."
)
@click.option(
    "--quirk",
    "quirks",
    metavar="NAME",
    multiple=True,
    help="A quirk of it. Repeatable.",
)
@click.option(
    "--presence",
    metavar="POLICY",
    help="Who touches the tokens meanwhile, as `virtual create --presence` has it.",
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

    COMMAND is a program and its words, best behind --. It and what it starts see the token of
    --token, or a throw-away one, at /dev/hidraw90: without root, kernel modules or settings of
    theirs. Ends with the program, and with its exit status.

    \b
    fidokit virtual run -- ssh-keygen -t ed25519-sk -f key
    fidokit virtual run --token virtual:work -- fido2-token -L

    Programs that are statically linked, or setuid, are out of reach. From within, `fidokit
    virtual touch` and the like act on the first token.
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
            f"{given[0]} is for a throw-away token, and --token or --with names one",
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
        tokens.append(ProgramToken("the throw-away token", partial(kept_in_memory, made)))

    def tell(paths: list[str]) -> None:
        named: list[str | None] = [*(f"{_SELECTOR}{name}" for name in names)] or [None]
        pairs = [{"token": n, "path": path} for n, path in zip(named, paths, strict=True)]
        show(settings, {"tokens": pairs}, Lines([]))
        sys.stdout.flush()  # before the program prints anything

    return run_program(command, tokens, tell)


run.context_settings["allow_interspersed_args"] = False  # what follows is the program's
