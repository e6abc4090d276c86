"""`fidokit doctor`, `demo` and `completion`: what helps one to begin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.progress import Working
from fidokit.cli.render import Check, Checks, Lines, show, styled, write_json, write_lines
from fidokit.cli.settings import COMPLETION_VARIABLE, PROGRAM, Settings
from fidokit.errors import ExitCode
from fidokit.prompt import questions
from fidokit.prompt.text import escape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fidokit.guide.demo import Step
    from fidokit.guide.doctor import Finding
    from fidokit.guide.stage import Stage

MARKS = {"ok": ("ok", "32"), "warn": ("note", "35"), "fail": ("PROBLEM", "1;31")}


@verb()
@click.option("--udev", is_flag=True, help="Print the udev rules that open tokens to you.")
@click.pass_context
def doctor(ctx: click.Context, settings: Settings, *, udev: bool) -> None:
    """Find out why a token does not work.

    Checks this machine, cause by cause, and says how to mend what is wrong. Exit status 1 where a
    problem was found.
    """
    from dataclasses import replace

    from fidokit.cli.installation import Installation
    from fidokit.guide.doctor import diagnose
    from fidokit.tokens.udev_rules import RULES_PATH, rules_text

    if udev:
        rules = rules_text()
        udev_data = {"udev": {"path": RULES_PATH, "rules": rules}}
        show(settings, udev_data, Lines(rules.splitlines()))
        return
    advice = Installation().advice
    with Working(settings, "Looking at this machine and its tokens"):
        findings = [replace(finding, hint=advice(finding.hint)) for finding in diagnose()]
    data = [schema.finding(f) for f in findings]
    checks = [Check(*MARKS[str(f.status)], _with_id(f), f.hint) for f in findings]
    show(settings, {"findings": data}, Checks(checks))
    if any(f.status == "fail" for f in findings):
        ctx.exit(ExitCode.OTHER)


def _with_id(found: Finding) -> str:
    """The sentence, and behind what is not well the id under which docs/findings.md explains it."""
    return found.sentence if found.status == "ok" else f"{found.sentence} [{found.id}]"


@verb()
@click.option(
    "--keep",
    type=click.Path(file_okay=False),
    metavar="FOLDER",
    help="Work in this empty or new folder, and leave the files there.",
)
@click.option("--fast", is_flag=True, help="Do not wait between steps.")
def demo(settings: Settings, *, keep: str | None, fast: bool) -> None:
    """Take a guided tour on a virtual token.

    Shows the life of two SSH keys, step by step: sets a PIN, creates keys, loses their files,
    recovers them from the token, and proves with a signature that they are the same. Runs each
    command that it shows, and waits for Enter between steps on a terminal. Needs no hardware and
    touches none of your files.
    """
    from contextlib import closing
    from dataclasses import replace
    from pathlib import Path

    from fidokit.guide.demo import PIN, require_same_keys, tour, workspace
    from fidokit.guide.stage import Stage

    folder = None if keep is None else Path(keep)
    if folder is not None:
        _require_empty(folder)
    steps: list[Step] = []
    waits = not fast and sys.stdout.isatty() and questions.has_terminal()
    with workspace(folder) as here, closing(tour(here)) as tested:
        stage = Stage(here, PIN)
        for checked in tested:
            if steps and waits:
                questions.ask_line("Enter goes on, Ctrl-C ends the tour. ")
            if not settings.json:
                _introduce(len(steps) + 1, checked)
            printed = tuple(_performed(settings, stage, checked))
            if not printed and not settings.json:
                write_lines([f"   {line}" for line in checked.result])
            steps.append(replace(checked, result=printed or checked.result))
            if not settings.json:
                print(flush=True)
    require_same_keys([line for step in steps for line in step.result])
    if settings.json:
        write_json({"steps": [schema.step(step) for step in steps]})
    else:
        write_lines(["All of it agrees. Your own token: fidokit doctor, then fidokit pin set"])


def _require_empty(folder: Path) -> None:
    from fidokit.errors import WouldOverwrite

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise WouldOverwrite(f"{folder} is not empty", hint="name a folder that is new or empty")


def _introduce(number: int, step: Step) -> None:
    print(styled(f"{number}. {escape(step.title)}"))
    write_lines(_wrapped(step.explanation))


def _performed(settings: Settings, stage: Stage, step: Step) -> Iterator[str]:
    """Run the step's commands; what they print, which is shown at once."""
    for command in step.commands:
        if not settings.json:
            print(styled(f"   $ {escape(command)}"), flush=True)
        for line in stage.run(command):
            if not settings.json:
                write_lines([f"   {line}"])
            yield line


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 78, initial_indent="   ", subsequent_indent="   ")


@verb()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(settings: Settings, *, shell: str) -> None:
    """Print the completion script for a shell.

    \b
    bash:  fidokit completion bash > ~/.local/share/bash-completion/completions/fidokit
    zsh:   fidokit completion zsh > ~/.zfunc/_fidokit
           (with `fpath+=~/.zfunc; autoload -Uz compinit; compinit` in ~/.zshrc)
    fish:  fidokit completion fish > ~/.config/fish/completions/fidokit.fish
    """
    from click.shell_completion import ShellComplete, get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None  # noqa: S101  click has these three
    # ShellComplete's own source(): that of bash runs bash to look at its version.
    root = click.get_current_context().find_root().command
    script = ShellComplete.source(completer(root, {}, PROGRAM, COMPLETION_VARIABLE))
    show(settings, {"shell": shell, "script": script}, Lines(script.splitlines()))
