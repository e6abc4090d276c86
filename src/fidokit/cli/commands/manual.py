"""`fidokit help`: the manual of a command, by man if there is one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import PROGRAM, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence


@verb()
@click.argument("words", metavar="[GROUP] [VERB]", nargs=-1)
@click.pass_context
def show_manual(ctx: click.Context, settings: Settings, *, words: tuple[str, ...]) -> None:
    """Show the manual of a command.

    On a terminal the manual is shown by man(1), if it is installed. Otherwise this prints the same
    text as --help.
    """
    top = ctx.find_root()
    named = _found(top, words)
    if sys.stdout.isatty() and not settings.json and isinstance(top.command, click.Group):
        from fidokit.cli.manual.pages import page_of
        from fidokit.guide.manual_viewer import view

        if view("-".join([PROGRAM, *words]), page_of(top.command, words)):
            return
    text = named.get_help()
    show(settings, {"help": {"command": named.command_path, "text": text}}, Lines(text.split("\n")))


def _found(top: click.Context, words: Sequence[str]) -> click.Context:
    """The context of the command that the words name.

    Raises:
        click.UsageError: no command is called so.
    """
    found = top
    for word in words:
        group = found.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"`{found.command_path}` has no commands below it", found)
        _, command, _ = group.resolve_command(found, [word])
        if command is None:
            raise click.UsageError(f"there is no command {word!r} here", found)
        settings = command.context_settings
        found = click.Context(command, info_name=word, parent=found, **settings)
    return found
