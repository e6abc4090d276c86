"""`fidokit doctor`, `demo` and `completion`: what helps one to begin."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.progress import Working
from fidokit.cli.render import (
    Check,
    Checks,
    Lines,
    home_path,
    show,
    styled,
    write_json,
    write_lines,
)
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt import questions
from fidokit.prompt.text import BAD, DOUBT, GOOD, escape

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fidokit.guide.demo import Step
    from fidokit.guide.doctor import Finding
    from fidokit.guide.shell_completion import CompletionFiles
    from fidokit.guide.stage import Stage

MARKS = {"ok": ("ok", GOOD), "warn": ("note", DOUBT), "fail": ("PROBLEM", BAD)}


@verb()
@click.option("--udev", is_flag=True, help="Print the udev rules that let you use tokens.")
@click.pass_context
def doctor(ctx: click.Context, settings: Settings, *, udev: bool) -> None:
    """Find out why a token does not work.

    Checks this machine for each possible cause, and shows how to fix it. The exit status is 1 if
    there is a problem.
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
    help="Work in this empty or new folder, and keep the files.",
)
@click.option("--fast", is_flag=True, help="Do not wait between steps.")
def demo(settings: Settings, *, keep: str | None, fast: bool) -> None:
    """Take a guided tour with a virtual token.

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
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), required=False)
@click.option("--install", "wish", flag_value="install", help="Install it for your user.")
@click.option("--remove", "wish", flag_value="remove", help="Remove what --install installed.")
def completion(settings: Settings, *, shell: str | None, wish: str | None) -> None:
    """Complete commands and their values with the Tab key.

    Completes commands, options, and values: tokens, keys, models, quirks, users and files. Without
    --install, prints the script for SHELL. SHELL is the one that you log in with unless you name
    another.

    --install writes the script to a folder of your own and, for bash and zsh, adds one line to
    ~/.bashrc or ~/.zshrc. Shells that you start afterwards have it.
    """
    from fidokit.guide import shell_completion

    chosen = shell or _login_shell()
    if wish is None:
        script = shell_completion.script_for(chosen)
        show(settings, {"shell": chosen, "script": script}, Lines(script.splitlines()))
        return
    done = (shell_completion.install if wish == "install" else shell_completion.remove)(chosen)
    data = {
        "shell": chosen,
        wish: {
            "script": str(done.script),
            "startup": str(done.startup) if done.startup else None,
            "changed": done.changed,
        },
    }
    show(settings, data, Lines(list(_completion_lines(chosen, wish, done))))


def _login_shell() -> str:
    import os

    from fidokit.guide.shell_completion import SHELLS

    name = os.environ.get("SHELL", "").rpartition("/")[2]
    if name not in SHELLS:
        raise click.UsageError("name the shell: bash, zsh or fish")
    return name


def _completion_lines(shell: str, wish: str, done: CompletionFiles) -> Iterator[str]:
    script = escape(home_path(done.script))
    if wish == "remove":
        yield "Removed." if done.changed else "Nothing to remove."
        return
    yield f"Installed for {shell}: {script}"
    if done.startup is not None:
        yield f"Loaded by: {escape(home_path(done.startup))}"
    yield f"New shells have it. For this shell: source {script}"
