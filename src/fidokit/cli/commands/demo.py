"""`fidokit demo`: a guided tour on a virtual token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import styled, write_json, write_lines
from fidokit.cli.settings import Settings
from fidokit.prompt.text import escape

if TYPE_CHECKING:
    from fidokit.guide.demo import Step


@verb()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Work in this empty or new folder, and leave the files there.",
)
def demo(settings: Settings, *, keep: Path | None) -> None:
    """Live through the life of two SSH keys on a virtual token, step by step.

    Sets a PIN, creates keys, loses their files, recovers them from the token, and proves with a
    signature that they are the same. Needs no hardware and touches none of your files.
    """
    from fidokit.guide.demo import tour

    if keep is not None:
        keep.mkdir(mode=0o700, parents=True, exist_ok=True)
    steps: list[Step] = []
    for step in tour(keep):
        steps.append(step)
        if not settings.json:
            _tell(len(steps), step)
    if settings.json:
        write_json({"steps": [schema.step(step) for step in steps]})
    else:
        write_lines(["All of it agrees. Your own token: fidokit doctor, then fidokit pin set"])


def _tell(number: int, step: Step) -> None:
    print(styled(f"{number}. {escape(step.title)}"))
    write_lines(_wrapped(step.explanation))
    for command in step.commands:
        print(styled(f"   $ {escape(command)}", "36"))
    write_lines([f"   {line}" for line in step.result])
    print(flush=True)


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 78, initial_indent="   ", subsequent_indent="   ")
