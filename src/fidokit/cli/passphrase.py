"""Passphrases of key files: options, prompts, and what to do where nobody can be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from fidokit.cli.options import PASSPHRASE
from fidokit.cli.render import home_path
from fidokit.errors import PassphraseRequired
from fidokit.prompt import questions
from fidokit.prompt.text import note

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


rounds_option = click.option(
    "-a",
    "--rounds",
    cls=PassphraseOption,
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    default=24,
    help="Rounds of bcrypt for the passphrase.  [default: 24]",
)


def old_passphrase(path: Path, source: str | None) -> Callable[[], bytes]:
    """What the library calls when a key file turns out to be under a passphrase."""

    def ask_for_it() -> bytes:
        if source is not None:
            return questions.read_secret(source, "passphrase").encode()
        text = questions.ask_secret(f"Passphrase of {home_path(path)}: ")
        if text is None:
            raise PassphraseRequired(
                f"{home_path(path)} is under a passphrase, and nobody can be asked",
                hint="use --passphrase-file FILE, or run it in a terminal",
            )
        return text.encode()

    return ask_for_it


def new_passphrase(source: str | None, *, none: bool) -> Callable[[Path], bytes | None]:
    """What the library calls before it writes a key file; asked once a command.

    Args:
        source: --passphrase-file.
        none: --no-passphrase.
    """
    if none and source is not None:
        raise click.UsageError("--passphrase-file and --no-passphrase exclude each other")
    known: list[bytes | None] = []

    def ask_once(path: Path) -> bytes | None:
        if not known:
            known.append(None if none else _read_or_ask(path, source))
        return known[0]

    return ask_once


def _read_or_ask(path: Path, source: str | None) -> bytes | None:
    if source is not None:
        words = questions.read_secret(source, "passphrase").encode()
        if not words:  # a variable that was never set must not write a key without protection
            raise PassphraseRequired(
                "the passphrase file begins with an empty line",
                hint="put the passphrase on its first line, or say --no-passphrase",
            )
        return words
    while True:
        text = questions.ask_secret(f"Passphrase for {home_path(path)} (empty for none): ")
        if text is None:
            raise PassphraseRequired(
                "no passphrase was chosen, and nobody can be asked",
                hint="use --passphrase-file FILE, or --no-passphrase",
            )
        if text == questions.ask_secret("The same again: "):
            return text.encode() or None
        note("The two are not the same.")
