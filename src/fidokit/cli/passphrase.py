"""Passphrases of key files and of sealed virtual tokens, and who signs for a key file: options,
prompts, and what to do if nobody can be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fidokit.cli.interaction import TerminalInteraction, ask_twice
from fidokit.cli.options import PASSPHRASE
from fidokit.cli.render import home_path
from fidokit.cli.settings import Settings
from fidokit.errors import PassphraseRequired, UsageError
from fidokit.prompt import questions
from fidokit.types import PassphraseSource

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fidokit.signing.signers import Signer

F = TypeVar("F", bound=Callable[..., Any])


class PassphraseOption(click.Option):
    """An option under the heading of passphrases."""

    section = PASSPHRASE


def old_passphrase_option(function: F) -> F:
    """Add --passphrase-file for a file that is already under a passphrase."""
    return click.option(
        "--passphrase-file",
        cls=PassphraseOption,
        metavar="FILE",
        help="Read the key file's passphrase from FILE (- is standard input).",
    )(function)


def new_passphrase_options(function: F) -> F:
    """Add --passphrase-file, --no-passphrase and -a for files that are about to be written."""
    options = (
        click.option(
            "--passphrase-file",
            cls=PassphraseOption,
            metavar="FILE",
            help="Read the passphrase for the key file from FILE (- is standard input).",
        ),
        click.option(
            "--no-passphrase",
            cls=PassphraseOption,
            is_flag=True,
            help="Write the key file without a passphrase; the token still guards the key.",
        ),
        rounds_option,
    )
    for option in reversed(options):
        function = option(function)
    return function


MOST_ROUNDS = 4096
"""Of bcrypt, half a minute; as many as we take from a file (openssh.keys.container)."""

rounds_option = click.option(
    "-a",
    "--rounds",
    cls=PassphraseOption,
    metavar="N",
    type=click.IntRange(1, MOST_ROUNDS),
    default=24,
    help="Rounds of bcrypt for the passphrase.  [default: 24]",
)


_HINT = "use --passphrase-file FILE, or run it in a terminal"


def old_passphrase(source: str | None) -> PassphraseSource:
    """What the library calls when a key file turns out to be under a passphrase."""
    return lambda path: _ask_for(home_path(path), "under a passphrase", source)


def _ask_for(what: str, state: str, source: str | None) -> bytes:
    """Ask for the passphrase of something, or read it from --passphrase-file."""
    if source is not None:
        return questions.read_passphrase(source)
    words = questions.ask_passphrase(f"Passphrase to open {what}: ")
    if words is None:
        raise PassphraseRequired(f"{what} is {state}, and nobody can be asked", hint=_HINT)
    return words


def new_passphrase(source: str | None, *, none: bool) -> PassphraseSource:
    """What the library calls before it writes a key file; asked once a command.

    Args:
        source: --passphrase-file.
        none: --no-passphrase.
    """
    if none and source is not None:
        raise click.UsageError("--passphrase-file and --no-passphrase exclude each other")
    known: list[bytes] = []

    def ask_once(path: Path) -> bytes:
        if not known:
            known.append(b"" if none else _read_or_ask(path, source))
        return known[0]

    return ask_once


def _read_or_ask(path: Path, source: str | None) -> bytes:
    if source is not None:
        words = questions.read_passphrase(source)
        if not words:  # a variable that was never set must not write a key without protection
            raise PassphraseRequired(
                "the passphrase file begins with an empty line",
                hint="put the passphrase on its first line, or say --no-passphrase",
            )
        return words
    typed = ask_twice(
        questions.ask_passphrase,
        f"New passphrase for {home_path(path)} (empty for none): ",
        "New passphrase again: ",
    )
    if typed is None:
        raise PassphraseRequired(
            "no passphrase was chosen, and nobody can be asked",
            hint="use --passphrase-file FILE, or --no-passphrase",
        )
    return typed


# --- who signs -----------------------------------------------------------------------------

agent_option = click.option("-U", "--agent", is_flag=True, help="Sign only through the agent.")


def open_signer(
    settings: Settings, key: Path, *, agent: bool, passphrase_file: str | None
) -> AbstractContextManager[Signer]:
    """Whoever signs for a key file; a private one is never looked for in the agent.

    Args:
        key: -f or -s.
        agent: --agent.
        passphrase_file: --passphrase-file.
    """
    from fidokit.signing import signers

    public = key.name.endswith(".pub")
    return signers.open_signer(
        key,
        TerminalInteraction(settings),
        agent=True if agent else (None if public else False),
        passphrase=old_passphrase(passphrase_file),
        selector=settings.token,
        spend_last_try=settings.spend_last_try,
    )


# --- seals of virtual tokens -------------------------------------------------------------


seal_passphrase_option = click.option(
    "--passphrase-file",
    cls=PassphraseOption,
    metavar="FILE",
    help="Read the passphrase of the seal from FILE (- is standard input).",
)


def seal_options(purpose: str) -> Callable[[F], F]:
    """Add --seal, with this help, and --passphrase-file."""

    def wrap(function: F) -> F:
        seal = click.option("--seal", cls=PassphraseOption, is_flag=True, help=purpose)
        return seal(seal_passphrase_option(function))

    return wrap


def seal_passphrase(what: str, source: str | None) -> PassphraseSource:
    """What the library calls where something turns out to be sealed.

    Args:
        what: names it in the question.
        source: --passphrase-file.
    """
    return lambda _path: _ask_for(what, "sealed", source)


def is_sealed(name: str) -> bool:
    """Whether the virtual token of this name is sealed."""
    from fidokit.lab.named_tokens import list_virtual

    return any(found.name == name and found.sealed for found in list_virtual())


def known_if_sealed(name: str, source: str | None) -> PassphraseSource | None:
    """The passphrase of a virtual token, asked for now; None if it is not sealed."""
    if not is_sealed(name):
        return None
    words = _ask_for(f"virtual:{name}", "sealed", source)
    return lambda _path: words


def new_seal(what: str, wanted: bool, source: str | None) -> bytes | None:
    """A passphrase to seal something under, or None if that is not wanted.

    Args:
        what: names it in the question.
        wanted: --seal.
        source: --passphrase-file.

    Raises:
        UsageError: a passphrase for no seal, or none for one.
        PassphraseRequired: nobody can be asked.
    """
    if not wanted:
        if source is not None:
            raise UsageError("--passphrase-file is for a seal", hint="say --seal too")
        return None
    if source is not None:
        words: bytes | None = questions.read_passphrase(source)
    else:
        words = ask_twice(
            questions.ask_passphrase, f"New passphrase for {what}: ", "New passphrase again: "
        )
    if words is None:
        raise PassphraseRequired(f"{what} is to be sealed, and nobody can be asked", hint=_HINT)
    if not words:
        raise UsageError("a seal needs a passphrase", hint="leave --seal out for none")
    return words
