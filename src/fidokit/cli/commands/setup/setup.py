"""`fidokit setup`: from a new token to a working login, question by question or from a file."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli.commands.setup import setup_json
from fidokit.cli.interaction import TerminalInteraction, open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import new_passphrase, new_passphrase_options, old_passphrase
from fidokit.cli.render import Lines, home_path, show, styled
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode, UsageError
from fidokit.prompt import questions
from fidokit.prompt.notices import tell
from fidokit.prompt.text import BAD, DOUBT, FAINT, GOOD, escape

if TYPE_CHECKING:
    from fidokit.guide.setup.answers import Asker
    from fidokit.guide.setup.desk import SetupDesk, SetupState, StepReport
    from fidokit.tokens import PinCode, Session

COLORS = {
    "found": GOOD,
    "done": GOOD,
    "was so": GOOD,
    "failed": BAD,
    "left to do": DOUBT,
    "skipped": FAINT,
}
NO = frozenset({"n", "no"})
YES = frozenset({"y", "yes"})


@verb(pin=True, new_pin=True)
@click.option(
    "--answers",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Ask nothing: the answers are in this TOML file, and the usual ones beyond it.",
)
@click.option(
    "--backup-pin-file", metavar="FILE", help="Read the PIN of the backup's token from FILE."
)
@click.option(
    "-e",
    "--ssh",
    metavar="COMMAND",
    default="",
    help="How to reach servers, such as 'ssh -p 2222'.",
)
@new_passphrase_options
def setup(
    settings: Settings,
    *,
    answers: Path | None,
    backup_pin_file: str | None,
    ssh: str,
    passphrase_file: str | None,
    no_passphrase: bool,
    rounds: int,
) -> None:
    """Set up a security key: PIN, SSH key, backup, servers, GitHub, GitLab, git.

    Goes step by step, explains each in a line, and shows the command that does the same. Each
    question has a usual answer (Enter), each step but the first can be skipped, and what is done
    already is passed: run it again whenever you like.

    \b
    Scripts give --answers FILE, in TOML; all are optional:
      token = "usb:123"              # else the only one
      set_pin = true                 # with --new-pin-file, if there is none
      [key]
      file = "~/.ssh/id_work"        # or use = "...", a key that is there
      resident = true                # application = "ssh:work"
      verify_required = false
      backup = "usb:456"             # with --backup-pin-file
      [login]
      servers = ["me@server.example"]
      [publish]
      github = true                  # gitlab, signing
      [git]
      sign = true                    # email, every_commit, test
    """
    from fidokit.guide.setup.path import run_setup

    secret = new_passphrase(passphrase_file, none=no_passphrase)
    desk = _desk(settings, _asker(answers), ssh, secret, backup_pin_file)
    state = run_setup(replace(desk, rounds=rounds))
    key = str(state.key) if state.key else None
    data = {
        "setup": {**setup_json.setup(state.steps), "key": key, "fingerprint": state.fingerprint}
    }
    show(settings, data, Lines(_summary(state)))
    if any(step.outcome == "failed" for step in state.steps):
        raise click.exceptions.Exit(ExitCode.OTHER)


def _asker(answers: Path | None) -> Asker:
    if answers is not None:
        from fidokit.guide.setup.answers import read_answers

        return read_answers(answers)
    if not questions.has_terminal():
        raise UsageError(
            "setup asks questions, and there is no terminal to ask them on",
            hint="give the answers in a file: fidokit setup --answers FILE; "
            "`fidokit setup --help` shows one",
        )
    return TerminalAsker()


def _desk(
    settings: Settings,
    asker: Asker,
    ssh: str,
    secret: Callable[[Path], bytes],
    backup_pin_file: str | None,
) -> SetupDesk:
    from fidokit.guide.setup.desk import SetupDesk

    words = shlex.split(ssh or str(asker.given("login.ssh") or "ssh"))
    named = settings.token or asker.given("token")
    settings.token = str(named) if named else None
    narrator = Narrator(settings)
    kept: dict[Path, bytes] = {}

    def new(path: Path) -> bytes:
        kept[path.absolute()] = secret(path)
        return kept[path.absolute()]

    def old(path: Path) -> bytes:
        """A passphrase that was typed a minute ago is not asked for again."""
        known = kept.get(path.absolute())
        return known if known is not None else old_passphrase(None)(path)

    interaction = SetupInteraction(settings)
    return SetupDesk(
        asker=asker,
        interaction=interaction,
        open_token=_opener(settings, settings.pin_file, interaction),
        open_backup=_opener(settings, backup_pin_file),
        new_passphrase=new,
        old_passphrase=old,
        begin=narrator.begin,
        report=narrator.report,
        ssh=words,
        selector=settings.token,
    )


def _opener(
    settings: Settings, pin_file: str | None, interaction: TerminalInteraction | None = None
) -> Callable[[str | None], AbstractContextManager[Session]]:
    def opened(selector: str | None) -> AbstractContextManager[Session]:
        own = copy(settings)
        own.token, own.pin_file = selector, pin_file
        own.pin_fd = settings.pin_fd if pin_file == settings.pin_file else None
        return open_token(own, interaction)

    return opened


class SetupInteraction(TerminalInteraction):
    """Asks as any command does, but not for a PIN that its user chose in this run of setup."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._chosen: dict[str, PinCode] = {}

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        """A new PIN, which serves the rest of the run."""
        self._chosen[token] = super().ask_new_pin(token, min_length, max_length)
        return self._chosen[token]

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """The PIN that was just chosen, else as `TerminalInteraction`; a wrong one is dropped."""
        if previous_was_wrong:
            self._chosen.pop(token, None)
        chosen = self._chosen.get(token)
        return chosen or super().ask_pin(token, retries, why, previous_was_wrong)


# --- what is shown -------------------------------------------------------------------------------


class Narrator:
    """Shows the steps as they are taken.

    Args:
        settings: with --json nothing is shown before the end.
    """

    def __init__(self, settings: Settings) -> None:
        self._quiet = settings.json
        self._number = 0

    def begin(self, title: str, explanation: str) -> None:
        """Show the heading of a step, and why one would want it."""
        if self._quiet:
            return
        self._number += 1
        blank = "\n" if self._number > 1 else ""
        print(f"{blank}{styled(f'{self._number}. {escape(title)}')}")
        print(f"   {_hanging(explanation, 3)}")

    def report(self, step: StepReport) -> None:
        """Show what came of it, and the command that does the same."""
        if self._quiet:
            return
        word = f"{step.outcome!s:<10}"
        shown = _hanging(step.sentence)
        print(f"   {styled(word, COLORS[str(step.outcome)])}  {shown}", flush=True)
        if step.hint:
            print(f"   {'':<10}  {_hanging(step.hint)}")
        if step.paste:
            print(escape(step.paste))
        for command in step.commands:
            print(_typed(escape(command)), flush=True)


_INDENT = 15


def _hanging(text: str, indent: int = _INDENT) -> str:
    """A sentence in its column, broken at words on a terminal."""
    import sys

    from fidokit.prompt.text import columns, fitted, is_fancy

    line = escape(text)
    if not is_fancy(sys.stdout):
        return line
    room = max(columns(sys.stdout) - indent, 20)
    return fitted(line, room).replace("\n", "\n" + " " * indent)


def _typed(command: str) -> str:
    """A command as it may be copied: one that is too wide goes on in another line."""
    import sys

    from fidokit.prompt.text import columns, is_fancy, wrapped

    if not is_fancy(sys.stdout):
        return f"   $ {command}"
    parts = wrapped(command, max(columns(sys.stdout) - 9, 20))
    return "   $ " + " \\\n       ".join(parts)


def _summary(state: SetupState) -> list[str]:
    """What is left to do."""
    left = [step for step in state.steps if step.outcome in {"failed", "left to do"}]
    if state.key is None:
        return ["", "There is no key yet: run `fidokit setup` again to make one."]
    done = f"Your key is {home_path(state.key)}."
    if not left:
        return ["", f"{done} All that you asked for is done."]
    names = ", ".join(dict.fromkeys(step.name for step in left))
    return ["", f"{done} Look again at: {names}. `fidokit setup` goes on from here."]


# --- asking --------------------------------------------------------------------------------------


class TerminalAsker:
    """Asks the user of the terminal (guide.setup.answers.Asker)."""

    is_person = True

    def yes(self, name: str, question: str, *, default: bool) -> bool:  # noqa: ARG002
        """Ask yes or no until it is one of them; Enter is the default."""
        while True:
            answer = _ask(f"{question} {'[Y/n]' if default else '[y/N]'} ").lower()
            if not answer:
                return default
            if answer in YES | NO:
                return answer in YES
            tell(f"{answer!r} is neither y nor n.")

    def text(self, name: str, question: str, default: str = "") -> str:  # noqa: ARG002
        """Ask for a text; Enter is the default."""
        return _ask(f"{question} [{default}]: " if default else f"{question}: ") or default

    def texts(self, name: str, question: str) -> Iterator[str]:
        """Ask for texts until Enter."""
        while answer := self.text(name, question):
            yield answer
            question = "Another one (Enter for none)"

    def choice(
        self,
        name: str,  # noqa: ARG002
        question: str,
        options: Sequence[str],
        default: int = 0,
    ) -> int:
        """Show a numbered list, and ask for a number."""
        tell("\n".join(f"  {number}  {option}" for number, option in enumerate(options, start=1)))
        while True:
            answer = _ask(f"{question} [{default + 1}]: ")
            if not answer:
                return default
            if answer.isdecimal() and 1 <= int(answer) <= len(options):
                return int(answer) - 1
            tell(f"{answer!r} is not a number from 1 to {len(options)}.")

    def given(self, name: str) -> object:  # noqa: ARG002
        """Nothing is known before it is asked."""
        return None

    def wait(self, what: str) -> bool:
        """Wait for Enter; `n` is no."""
        return _ask(f"{what}, then press Enter (n for not now): ").lower() not in NO


def _ask(prompt: str) -> str:
    return (questions.ask_line(prompt) or "").strip()
