"""The passphrase of a sealed virtual token: options, prompts, and what to do without a person."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from fidokit.cli.passphrase import PassphraseOption
from fidokit.errors import PassphraseRequired, UsageError
from fidokit.prompt import questions
from fidokit.prompt.text import note

F = TypeVar("F", bound=Callable[..., Any])

_HINT = "use --passphrase-file FILE, or run it in a terminal"

passphrase_option = click.option(
    "--passphrase-file",
    cls=PassphraseOption,
    metavar="FILE",
    help="Read the passphrase of the seal from FILE (- is standard input).",
)


def seal_options(purpose: str) -> Callable[[F], F]:
    """Add --seal, with this help, and --passphrase-file."""

    def wrap(function: F) -> F:
        seal = click.option("--seal", cls=PassphraseOption, is_flag=True, help=purpose)
        return seal(passphrase_option(function))

    return wrap


def seal_passphrase(what: str, source: str | None) -> Callable[[], bytes]:
    """What the library calls where something turns out to be sealed.

    Args:
        what: names it in the question.
        source: --passphrase-file.
    """

    def ask_for_it() -> bytes:
        if source is not None:
            return questions.read_secret(source, "passphrase").encode()
        text = questions.ask_secret(f"Passphrase of {what}: ")
        if text is None:
            raise PassphraseRequired(f"{what} is sealed, and nobody can be asked", hint=_HINT)
        return text.encode()

    return ask_for_it


def is_sealed(name: str) -> bool:
    """Whether the virtual token of this name is sealed."""
    from fidokit.lab.named_tokens import list_virtual

    return any(found.name == name and found.sealed for found in list_virtual())


def known_if_sealed(name: str, source: str | None) -> Callable[[], bytes] | None:
    """The passphrase of a virtual token, asked for now; None where it is not sealed."""
    if not is_sealed(name):
        return None
    words = seal_passphrase(f"virtual:{name}", source)()
    return lambda: words


def new_seal(what: str, wanted: bool, source: str | None) -> bytes | None:
    """A passphrase to seal something under, or None where that is not wanted.

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
    words = (
        questions.read_secret(source, "passphrase") if source is not None else _asked_twice(what)
    )
    if not words:
        raise UsageError("a seal needs a passphrase", hint="leave --seal out for none")
    return words.encode()


def _asked_twice(what: str) -> str:
    while True:
        text = questions.ask_secret(f"Passphrase to seal {what} under: ")
        if text is None:
            raise PassphraseRequired(f"{what} is to be sealed, and nobody can be asked", hint=_HINT)
        if not text or text == questions.ask_secret("The same again: "):
            return text
        note("The two are not the same.")
