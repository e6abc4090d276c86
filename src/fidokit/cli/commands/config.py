"""`fidokit config`: settings that the token itself keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Facts, Lines, show
from fidokit.cli.settings import Settings
from fidokit.prompt import questions

if TYPE_CHECKING:
    from fidokit.tokens.owner import Configuration

STATES = {True: "on", False: "off", None: "the token has no such setting"}
ALWAYS_UV, ENTERPRISE, MIN_PIN, LONG_TOUCH = 2, 1, 3, 4
"""Subcommands of authenticatorConfig; each changes one setting."""


@verb()
def show_all(settings: Settings) -> None:
    """Show all settings, and which can be changed. Needs no PIN."""
    from fidokit.tokens.owner import configuration

    with open_token(settings) as session:
        found = configuration(session)
        data = {**schema.on_token(session), "config": schema.configuration(found)}
        show(settings, data, Facts(session.name, _facts(found)))


def _facts(found: Configuration) -> list[tuple[str, str]]:
    rows = [
        ("always-uv", STATES[found.always_uv], ALWAYS_UV),
        ("enterprise-attestation", STATES[found.enterprise_attestation], ENTERPRISE),
        ("long-touch-reset", STATES[found.long_touch_reset], LONG_TOUCH),
        ("PIN minimum length", _length(found.min_pin_length), MIN_PIN),
        ("PIN complexity rule", STATES[found.pin_complexity], MIN_PIN),
    ]
    there = STATES[None]
    return [
        (name, said if said == there or by in found.changeable else f"{said} (fixed)")
        for name, said, by in rows
    ]


def _length(least: int | None) -> str:
    return STATES[None] if least is None else f"{least} characters"


@verb(pin=True)
@click.argument("state", type=click.Choice(["on", "off"]), required=False)
def always_uv(settings: Settings, *, state: str | None) -> None:
    """Require the PIN or a finger at every use.

    Shows or changes the setting. While it is on, every key on the token acts as if it were made
    with verify-required.
    """
    from fidokit.tokens import owner

    with open_token(settings) as session:
        on = owner.always_uv(session, None if state is None else state == "on")
        said = f"always-uv is {'on' if on else 'off'} on {session.name}."
        show(settings, {**schema.on_token(session), "always_uv": on}, Lines([said]))


@verb(pin=True)
@click.argument("state", type=click.Choice(["on"]), required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def enterprise_attestation(settings: Settings, *, state: str | None, yes: bool) -> None:
    """Let enterprises identify this token.

    Shows the setting, or turns it on. While it is on, enterprises that the token's maker has
    registered can see which token made a key. Only a reset turns it off.
    """
    from fidokit.tokens import owner

    _one_way(settings, "enterprise-attestation", owner.enterprise_attestation, state, yes)


@verb(pin=True)
@click.argument("state", type=click.Choice(["on"]), required=False)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
def long_touch_reset(settings: Settings, *, state: str | None, yes: bool) -> None:
    """Require a long touch for a reset.

    Shows the setting, or turns it on: a reset then needs a touch of at least five seconds. This
    protects against resets by accident, or by a program that waits for a short touch. Only a reset
    turns it off.
    """
    from fidokit.tokens import owner

    _one_way(settings, "long-touch-reset", owner.long_touch_reset, state, yes)


def _one_way(
    settings: Settings, name: str, switch: Callable[..., bool | None], state: str | None, yes: bool
) -> None:
    """A setting that only a reset turns off: shown, or turned on after a yes."""
    with open_token(settings) as session:
        if state and not yes and switch(session) is False:
            questions.require_yes(
                f"Turn {name} on? Only a reset of {session.name} turns it off again."
            )
        on = switch(session, enable=bool(state))
        said = f"{name} on {session.name}: {STATES[on]}."
        show(settings, {**schema.on_token(session), name.replace("-", "_"): on}, Lines([said]))
