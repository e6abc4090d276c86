"""What the shells' scripts ask for: candidates for the word at the cursor, one a line.

A script passes the line up to the cursor as the one argument, and its shell's name in
_FIDOKIT_COMPLETE. zsh and fish get `CANDIDATE<tab>EXPLANATION`. bash gets candidates that are
quoted and cut to what its own words leave. A line that begins with a tab is for the script: `files`
or `folders`, then the part of the word before them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import click

from fidokit.cli.completion.line import Typed, quoted, split

if TYPE_CHECKING:
    from fidokit.cli.completion.cursor import Cursor
    from fidokit.cli.completion.values import Files, Value

MOST: Final = 2000
"""Candidates that a shell gets; more help nobody."""

_HELP_WIDTH: Final = 70


def answer(shell: str, args: Sequence[str]) -> None:
    """Print the candidates.

    Args:
        shell: bash, zsh or fish.
        args: the line up to the cursor.
    """
    from fidokit.cli.app import root

    breaks = os.environ.get("COMP_WORDBREAKS", "") if shell == "bash" else ""
    typed = split(args[0] if args else "", breaks)
    for line in list(_lines(shell, typed, offered(root, typed))):
        sys.stdout.write(f"{line}\n")


def offered(root: click.Group, typed: Typed) -> tuple[str, list[Value | Files]]:
    """The part of the word before its value, and what may follow: candidates, or files.

    Args:
        root: the command that all others are in.
        typed: the line up to the cursor.
    """
    from fidokit.cli.completion.cursor import locate
    from fidokit.cli.completion.values import Files, values

    cursor = locate(root, typed.words, typed.current)
    if cursor is None:
        return "", []
    every = values(cursor) if cursor.param is not None else _names(cursor)
    found = list(_fitting(cursor, every))
    named = [one for one in found if not isinstance(one, Files)]
    return cursor.prefix, [*named[:MOST]] or found[:1]


def _fitting(cursor: Cursor, every: Iterable[Value | Files]) -> Iterator[Value | Files]:
    """Those that begin as the word does, each once, and none that is there already."""
    from fidokit.cli.completion.values import Files

    param = cursor.param
    seen = set(cursor.given.get(param.name or "", ())) if param is not None else set()
    for one in every:
        if isinstance(one, Files):
            yield one
        elif (
            one.text.startswith(cursor.incomplete) and one.text not in seen and _is_plain(one.text)
        ):
            seen.add(one.text)
            yield one


def _is_plain(text: str) -> bool:
    """Whether a terminal shows it as it is, on one line."""
    return text.isprintable() and bool(text)


def _names(cursor: Cursor) -> Iterator[Value]:
    """Options after a dash, else the commands of a group."""
    from fidokit.cli.completion.values import Value

    if cursor.incomplete.startswith("-"):
        yield from _options(cursor)
    elif isinstance(cursor.command, click.Group):
        context = click.Context(cursor.command)
        for name in cursor.command.list_commands(context):
            below = cursor.command.get_command(context, name)
            yield Value(name, below.get_short_help_str(_HELP_WIDTH) if below else "")


def _options(cursor: Cursor) -> Iterator[Value]:
    from fidokit.cli.completion.values import Value

    for param in (*cursor.command.params, *_help_options(cursor.command)):
        if not isinstance(param, click.Option) or param.hidden:
            continue
        if param.name in cursor.given and not (param.multiple or param.count):
            continue
        for name in (*param.opts, *param.secondary_opts):
            yield Value(name, param.help or "")


def _help_options(command: click.Command) -> Iterator[click.Parameter]:
    found = command.get_help_option(click.Context(command, **command.context_settings))
    if found is not None:
        yield found


def _lines(shell: str, typed: Typed, found: tuple[str, Sequence[Value | Files]]) -> Iterator[str]:
    from fidokit.cli.completion.values import Files

    prefix, candidates = found
    for one in candidates:
        if isinstance(one, Files):
            yield f"\t{'folders' if one.folders else 'files'}\t{_before_files(prefix, typed)}"
        elif shell == "bash":
            text = quoted(f"{prefix}{one.text}"[typed.kept :], typed.quote)
            if text is not None:
                yield text
        else:
            said = " ".join("".join(c if c.isprintable() else " " for c in one.help).split())
            yield f"{prefix}{one.text}\t{_shortened(said)}"


def _before_files(prefix: str, typed: Typed) -> str:
    """What of the word stands before the name of a file."""
    value = typed.current[len(prefix) :]
    name, equals, _ = value.partition("=")
    return f"{prefix}{name}{equals}" if equals and "/" not in name else prefix


def _shortened(text: str) -> str:
    """The first sentence, at a width that leaves room for the candidate."""
    first = text.partition(". ")[0].removesuffix(".")
    return first if len(first) <= _HELP_WIDTH else f"{first[: _HELP_WIDTH - 3].rstrip()}..."
