"""`fidokit token`: list, info, wink, forget, reset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.commands.pin import pin_facts
from fidokit.cli.interaction import TerminalInteraction, open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Column, Facts, Lines, Listing, show
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError
from fidokit.prompt import questions
from fidokit.prompt.text import escape, note
from fidokit.types import KeyType

if TYPE_CHECKING:
    from fidokit.tokens import TokenInfo
    from fidokit.tokens.access import TokenDetails, TokenSummary
    from fidokit.tokens.reset import ResetPlan

EMPTY = """No token found. Plug one in, or find out what is wrong: fidokit doctor
To try things out without one: fidokit virtual create NAME"""
NOT_DURABLE = "* this selector may name another token after the next plugging-in"


@verb()
def list_tokens(settings: Settings) -> None:
    """List the tokens at hand: USB, contactless, and virtual ones.

    The selector is what --token takes. Those marked * are good for now only.
    """
    from fidokit.tokens import access

    found = access.list_tokens()
    titles = ("Selector", "Token", "Serial", "Speaks", "PIN", "Problem")
    columns = [Column(title, "bold" if title == "Selector" else "") for title in titles]
    footer = "" if all(t.durable for t in found) else NOT_DURABLE
    listing = Listing(columns, [_row(t) for t in found], EMPTY, footer)
    show(settings, {"tokens": [schema.token(t) for t in found]}, listing)


def _row(token: TokenSummary) -> tuple[str | None, ...]:
    selector = token.selector if token.durable else token.selector + " *"
    speaks = _newest(token.info) if token.info else None
    pin = _pin_word(token.info) if token.info else None
    return selector, token.product, token.serial, speaks, pin, token.problem


def _newest(info: TokenInfo) -> str:
    """The newest FIDO2 version, or U2F_V2 where that is all; previews do not count."""
    released = [v for v in info.versions if v.startswith("FIDO_") and not v.endswith("_PRE")]
    return max(released, default=", ".join(info.versions))


def _pin_word(info: TokenInfo) -> str:
    return {True: "set", False: "not set", None: "none"}[info.pin_set]


@verb()
def info(settings: Settings) -> None:
    """Show what a token is and can do, and the state of its PIN."""
    from fidokit.tokens.access import token_info

    with open_token(settings) as session:
        found = token_info(session)
        show(settings, schema.details(found), Facts(found.name, _facts(found)))


_BYTES_OF_A_VERSION = range(1 << 16, 1 << 24)
_LARGEST_PART = 99


def _firmware(version: int | None) -> str:
    """The number, and what it reads as where its bytes look like a version, as makers put it."""
    if version is None:
        return "-"
    if version not in _BYTES_OF_A_VERSION:
        return str(version)
    parts = version.to_bytes(3)
    return (
        f"{'.'.join(map(str, parts))} ({version})" if max(parts) <= _LARGEST_PART else str(version)
    )


def _facts(found: TokenDetails) -> list[tuple[str, str]]:
    info = found.info
    room = info.remaining_resident
    types = [_type_word(kind, info.supports(kind)) for kind in reversed(KeyType)]
    return [
        ("selector", found.selector + ("" if found.durable else " (for now)")),
        *([("remembered as", found.identifier)] if found.identifier else []),
        ("speaks", ", ".join(info.versions)),
        ("model (AAGUID)", info.aaguid.hex()),
        ("firmware", _firmware(info.firmware_version)),
        ("key types", ", ".join(filter(None, types))),
        ("resident keys", "yes" if info.has_resident else "no"),
        ("room for", "not told" if room is None else f"{room} more resident keys"),
        *pin_facts(found.pin),
        ("always-uv", "on" if info.always_uv else "off"),
        ("extensions", ", ".join(info.extensions) or "-"),
        ("options", ", ".join(k if v else f"no {k}" for k, v in info.options.items()) or "-"),
        *((f"departs: {one.name}", one.sentence) for one in found.departures),
    ]


def _type_word(kind: KeyType, makes: bool | None) -> str:
    return {True: str(kind), False: "", None: f"{kind} (not told: only the attempt shows)"}[makes]


@verb()
@click.option("--all", "every", is_flag=True, help="All tokens; none has to be there.")
def forget(settings: Settings, *, every: bool) -> None:
    """Forget a token that is remembered.

    Deletes the right to read it that `key list --remember` keeps. The next `key list` asks for the
    PIN again, and `id:` selectors of the token end.
    """
    from fidokit.tokens.remembered import forget_token, forget_tokens

    if every:
        count = forget_tokens()
        show(settings, {"forgotten": count}, Lines([f"Forgot {count} token(s)."]))
        return
    with open_token(settings) as session:
        known = forget_token(session)
        said = f"{session.name} is forgotten." if known else f"{session.name} was not remembered."
        show(settings, {**schema.on_token(session), "forgotten": int(known)}, Lines([said]))


@verb()
def wink(settings: Settings) -> None:
    """Make a token blink, to find it among several."""

    with open_token(settings) as session:
        session.wink()
        show(settings, schema.on_token(session), Lines([f"{session.name} blinks."]))


# --- reset -------------------------------------------------------------------------------


@verb(pin=True)
@click.option("--list", "listed", is_flag=True, help="List the keys by name first (asks the PIN).")
@click.option("--confirm", metavar="TEXT", help="What else would be typed: the serial or name.")
def reset(settings: Settings, *, listed: bool, confirm: str | None) -> None:
    """Erase a token completely.

    Every key on it dies, its PIN and all its settings. Keys that are not resident die too: their
    files become useless. There is no way back.
    """
    from fidokit.tokens import reset as reset_module
    from fidokit.tokens.reset import plan_reset

    with open_token(settings) as session:
        plan = plan_reset(session, ask_pin=listed)
    note("\n".join(_what_dies(plan)))
    typed = confirm if confirm is not None else _ask(plan)
    reset_module.reset_token(
        plan, typed=typed, guide=Guide(), interaction=TerminalInteraction(settings)
    )
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
        """Ask the user to unplug the token."""
        note(f"Unplug {escape(name)} now.")

    def insert(self, name: str) -> None:
        """Ask the user to plug the token in again, and to touch it."""
        note(f"Plug {escape(name)} in again, and touch it when it blinks.")

    def inserted(self, name: str) -> None:
        """Say that the token is back; the touch notice follows."""
        note(f"{escape(name)} is back.")
