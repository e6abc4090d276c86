"""The reference of commands for the site, from the help that fidokit prints."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterator

import click

from fidokit.cli.app import HELP, root
from fidokit.cli.manual.examples import examples_of
from fidokit.cli.options import COMMON

PROGRAM = "fidokit"
SPECIAL = re.compile(r"`[^`]*`|([<>*_|\[\]])")


def pages() -> dict[str, str]:
    """Return the pages by their names on the site: one for all, and one for each at the top."""
    context = click.Context(root, info_name=PROGRAM)
    found = {"commands/index.md": "\n".join(_overview(context))}
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        found[f"commands/{name}.md"] = "\n".join(_page(command, context, name))
    return found


def _overview(context: click.Context) -> Iterator[str]:
    yield "# Commands\n"
    yield from _paragraphs(HELP)
    yield "| command | what it is for |\n|---|---|"
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        yield f"| [`{PROGRAM} {name}`]({name}.md) | {_text(command.get_short_help_str(200))} |"
    yield "\n## Options of every command\n\nBefore or after the verb.\n"
    yield from _options(root, context, common=True)


def _page(command: click.Command, above: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=above)
    yield f"# {context.command_path}\n"
    if not isinstance(command, click.Group):
        yield from _command(command, context)
        return
    yield from _paragraphs(command.help or "")
    for verb in command.list_commands(context):
        below = command.get_command(context, verb)
        assert below is not None
        inner = click.Context(below, info_name=verb, parent=context)
        yield f"## {inner.command_path}\n"
        yield from _command(below, inner)
    yield "Every command also takes the [common options](index.md#options-of-every-command).\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"```text\n{context.command_path} {usage}\n```\n"
    yield from _paragraphs(command.help or "")
    if examples := examples_of(context.command_path.partition(" ")[2]):
        yield "```sh\n" + "\n".join(examples) + "\n```\n"
    yield from _options(command, context)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield help text as paragraphs; those that begin with click's \\b keep their lines."""
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith("\b\n"):
            title, _, rest = paragraph.removeprefix("\b\n").partition("\n")
            yield f"{_text(title)}\n\n```text\n{inspect.cleandoc(rest)}\n```\n"
        elif paragraph:
            yield f"{_text(paragraph)}\n"


def _options(
    command: click.Command, context: click.Context, *, common: bool = False
) -> Iterator[str]:
    rows = []
    for param in command.get_params(context):
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        shared = getattr(param, "section", "") == COMMON
        if record and shared == common and "--help" not in record[0]:
            name = html.escape(record[0], quote=False).replace("|", "&#124;")
            rows.append(
                f'| <code class="option">{name}</code> | {_text(" ".join(record[1].split()))} |'
            )
    if rows:
        yield "| option | |\n|---|---|"
        yield from rows
        yield ""


def _text(text: str) -> str:
    """Return text that Markdown shows as it stands; what is in backticks is code."""
    return SPECIAL.sub(lambda found: f"\\{found[1]}" if found[1] else found[0], text)
