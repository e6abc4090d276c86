"""`fidokit token reset`: erase a token, after saying what dies and hearing its name typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.interaction import TerminalInteraction, open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError
from fidokit.prompt import questions
from fidokit.prompt.text import escape, note

if TYPE_CHECKING:
    from fidokit.tokens.reset import ResetPlan


@verb(pin=True)
@click.option("--list", "listed", is_flag=True, help="List the keys by name first (asks the PIN).")
@click.option("--confirm", metavar="TEXT", help="What else would be typed: the serial or name.")
def reset(settings: Settings, *, listed: bool, confirm: str | None) -> None:
    """Erase a token: every key on it, its PIN, all its settings.

    Keys that are not resident die too: their files become useless. There is no way back.
    """
    from fidokit.tokens import reset as reset_module
    from fidokit.tokens.reset import plan_reset

    with open_token(settings) as session:
        plan = plan_reset(session, ask_pin=listed)
    note("\n".join(_what_dies(plan)))
    typed = confirm if confirm is not None else _ask(plan)
    reset_module.reset(plan, typed=typed, guide=Guide(), interaction=TerminalInteraction(settings))
    done = [f"{plan.name} is as new. Give it a PIN: fidokit --token {plan.selector} pin set"]
    show(settings, {"reset": schema.reset_plan(plan)}, Lines(done))


def _what_dies(plan: ResetPlan) -> list[str]:
    what = "every resident key"
    if plan.resident is not None:
        what = "1 resident key" if plan.resident == 1 else f"{plan.resident} resident keys"
    lines = [
        f"A reset of {escape(plan.name)} destroys for good:",
        f"  - {what} on it",
        "  - every other key that was made with it: their files become useless",
        "  - the PIN, fingerprints and settings",
    ]
    lines += [f"      {escape(name)}" for name in plan.credentials or ()]
    if plan.others:
        lines.append(f"  - {plan.others} of these are logins to websites")
    return lines


def _ask(plan: ResetPlan) -> str:
    typed = questions.ask_line(f"Type {plan.confirm} to go on: ")
    if typed is None:
        raise UsageError(
            "a reset must be confirmed, and nobody can be asked",
            hint=f"say --confirm {plan.confirm}",
        )
    return typed.strip()


class Guide:
    """Tells the person what to do with the token (tokens.reset.ResetGuide)."""

    def unplug(self, name: str) -> None:
        """Out."""
        note(f"Unplug {escape(name)} now.")

    def insert(self, name: str) -> None:
        """And in again."""
        note(f"Plug {escape(name)} in again, and touch it when it blinks.")

    def inserted(self, name: str) -> None:
        """The touch notice follows."""
        note(f"{escape(name)} is back.")
