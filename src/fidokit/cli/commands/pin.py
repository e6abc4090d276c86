"""`fidokit pin`: set, change, verify, status, force-change, min-length."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Facts, Lines, show
from fidokit.cli.settings import Settings

if TYPE_CHECKING:
    from fidokit.tokens.owner import PinStatus


@verb(new_pin=True)
def set_pin(settings: Settings) -> None:
    """Set the first PIN.

    A PIN has 4 to 63 characters; letters are allowed. After eight wrong tries in total, even if the
    token is unplugged in between, the PIN is blocked. Only a reset unblocks it, and a reset erases
    every key.
    """
    from fidokit.tokens import owner as pin

    with open_token(settings) as session:
        pin.set_pin(session)
        done = f"The PIN of {session.name} is set."
        show(settings, schema.on_token(session), Lines([done]))


@verb(pin=True, new_pin=True)
def change(settings: Settings) -> None:
    """Change the PIN, after asking for the current one."""
    from fidokit.tokens.owner import change_pin

    with open_token(settings) as session:
        change_pin(session)
        done = f"The PIN of {session.name} is changed."
        show(settings, schema.on_token(session), Lines([done]))


@verb(pin=True)
def verify(settings: Settings) -> None:
    """Check that a PIN is right; a wrong one costs a try."""
    from fidokit.tokens.owner import verify_pin

    with open_token(settings) as session:
        verify_pin(session)
        show(settings, schema.on_token(session), Lines(["The PIN is right."]))


@verb()
def status(settings: Settings) -> None:
    """Show whether a PIN is set, its rules, and the tries left. Needs no PIN."""
    from fidokit.tokens.owner import pin_status

    with open_token(settings) as session:
        found = pin_status(session)
        data = {**schema.on_token(session), "pin": schema.pin(found)}
        named = f" --token {shlex.quote(session.selector)}" if settings.token else ""
        step = _next_step(found, f"fidokit{named}")
        show(settings, data, Facts(session.name, pin_facts(found), step))


def pin_facts(found: PinStatus) -> list[tuple[str, str]]:
    """The state of a PIN as labels and values."""
    if not found.supported:
        return [("PIN", "this token has none")]
    pairs = [("PIN", "blocked" if found.blocked else "set" if found.set else "not set")]
    if found.retries is not None:
        pairs.append(("tries left", str(found.retries)))
    if found.uv_retries is not None:
        pairs.append(("sensor tries left", str(found.uv_retries)))
    pairs.append(("length", f"{found.min_length} to {found.max_length} characters"))
    if found.change_required:
        pairs.append(("change required", "yes"))
    return pairs


def _next_step(found: PinStatus, program: str) -> str:
    """What to do next, with the token that was asked about where the user named one."""
    if found.blocked:
        return (
            "No tries are left. Only a reset unblocks the token, and it destroys every key:\n"
            f"{program} token reset"
        )
    if found.needs_power_cycle:
        return "Three wrong PINs in a row: unplug the token and plug it in again."
    if found.supported and not found.set:
        return f"Set one: {program} pin set"
    return f"The token requires a new PIN: {program} pin change" if found.change_required else ""


@verb(pin=True)
def force_change(settings: Settings) -> None:
    """Require a new PIN before the next use of the token."""
    from fidokit.tokens.owner import force_pin_change

    with open_token(settings) as session:
        force_pin_change(session)
        done = f"{session.name} now requires a new PIN. Set it: fidokit pin change"
        show(settings, schema.on_token(session), Lines([done]))


@verb(pin=True)
@click.argument("length", type=click.IntRange(4, 63))
@click.option(
    "--rp-id",
    "rp_ids",
    multiple=True,
    metavar="RPID",
    help="An RP ID that may read the minimum. Can be repeated.",
)
@click.option("--force-change", "force", is_flag=True, help="Require a new PIN at once.")
@click.option(
    "--complexity", is_flag=True, help="Refuse weak PINs, as the token's maker defines them."
)
def min_length(
    settings: Settings, *, length: int, rp_ids: tuple[str, ...], force: bool, complexity: bool
) -> None:
    """Raise the minimum length of the PIN to LENGTH characters.

    Only a reset of the token lowers the minimum, or undoes --complexity.
    """
    from fidokit.tokens.owner import set_min_pin_length

    with open_token(settings) as session:
        set_min_pin_length(session, length, rp_ids, force_change=force, complexity=complexity)
        done = f"PINs of {session.name} now need at least {length} characters."
        show(settings, {**schema.on_token(session), "min_length": length}, Lines([done]))
