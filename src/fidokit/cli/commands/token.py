"""`fidokit token`: list, info, wink, forget, reset."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.commands.pin import pin_facts
from fidokit.cli.interaction import TerminalInteraction, open_token
from fidokit.cli.options import verb
from fidokit.cli.progress import Working
from fidokit.cli.render import Column, Facts, Lines, Listing, labeled, show, show_cards
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError
from fidokit.prompt import questions
from fidokit.prompt.text import escape, is_fancy, note
from fidokit.types import KeyType

if TYPE_CHECKING:
    from fidokit.tokens import TokenInfo
    from fidokit.tokens.access import TokenDetails, TokenSummary
    from fidokit.tokens.reset import ResetPlan

EMPTY = """No token found. Plug one in, or find out what is wrong: fidokit doctor
To try things out without one: fidokit virtual create NAME"""
NOT_DURABLE = "*: this selector may name another token after the next plugging-in"
COLUMNS = tuple(map(Column, ("Selector", "Token", "Serial", "Speaks", "PIN", "Problem", "Model")))
SHORT = (
    Column("Selector", "1"),
    Column("Token", least=12),
    Column("Speaks", drop=1),
    Column("PIN"),
)


@verb()
@click.option("--long", "long_", is_flag=True, help="Show all details of each token.")
def list_tokens(settings: Settings, *, long_: bool) -> None:
    """List the connected tokens: USB, contactless, and virtual ones.

    Shows one line for each token; --long shows more. Use the selector with --token. Selectors
    marked * are valid only while the token stays connected.
    """
    from fidokit.tokens import access

    with Working(settings, "Asking the tokens"):
        found = access.list_tokens()
    footer = "" if all(t.durable for t in found) else NOT_DURABLE
    troubled = [t for t in found if t.problem]
    short = Listing(SHORT, [_short_row(t) for t in found], EMPTY, footer)
    listing = Listing(COLUMNS, [_row(t) for t in found], EMPTY, footer, short)
    data = {"tokens": [schema.token(t) for t in found]}
    if long_ and not settings.json:
        show_cards(listing)
        return
    show(settings, data, listing)
    for token in troubled if not settings.json and is_fancy(sys.stdout) else ():
        hint = f"\n{token.hint}" if token.hint else ""
        print(labeled(f"{escape(token.selector)}: ", f"{token.problem}{hint}", sys.stdout))


def _row(token: TokenSummary) -> tuple[str | None, ...]:
    selector, _, speaks, pin = _short_row(token)
    return selector, token.product, token.serial, speaks, pin, token.problem, token.model


def _short_row(token: TokenSummary) -> tuple[str | None, ...]:
    selector = token.selector if token.durable else token.selector + " *"
    speaks = _newest(token.info) if token.info else None
    pin = _pin_word(token.info) if token.info else None
    return selector, token.model or token.product, speaks, pin


def _newest(info: TokenInfo) -> str:
    """The newest FIDO2 version, or U2F_V2 where that is all; previews do not count."""
    released = [v for v in info.versions if v.startswith("FIDO_") and not v.endswith("_PRE")]
    return max(released, default=", ".join(info.versions))


def _pin_word(info: TokenInfo) -> str:
    return {True: "set", False: "not set", None: "none"}[info.pin_set]


@verb()
def info(settings: Settings) -> None:
    """Show what a token is, what it supports, and the state of its PIN."""
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
        *([("model", found.model)] if found.model else []),
        ("AAGUID", info.aaguid.hex()),
        ("firmware", _firmware(info.firmware_version)),
        ("key types", ", ".join(filter(None, types))),
        ("resident keys", "yes" if info.has_resident else "no"),
        ("slots left", "unknown" if room is None else f"{room} resident keys"),
        *pin_facts(found.pin),
        ("always-uv", "on" if info.always_uv else "off"),
        ("extensions", ", ".join(info.extensions) or "-"),
        ("options", ", ".join(k if v else f"no {k}" for k, v in info.options.items()) or "-"),
        *((f"departs: {one.name}", one.sentence) for one in found.departures),
    ]


def _type_word(kind: KeyType, makes: bool | None) -> str:
    return {True: str(kind), False: "", None: f"{kind} (unknown until it is tried)"}[makes]


@verb()
@click.option("--all", "every", is_flag=True, help="Forget all tokens; none needs to be connected.")
def forget(settings: Settings, *, every: bool) -> None:
    """Forget a remembered token.

    Deletes the right to read the token that `key list --remember` keeps. The next `key list` asks
    for the PIN again, and `id:` selectors of the token stop working.
    """
    from fidokit.tokens.remembered import forget_token, forget_tokens

    if every:
        count = forget_tokens()
        show(
            settings,
            {"forgotten": count},
            Lines([f"Forgot {count} {'token' if count == 1 else 'tokens'}."]),
        )
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
@click.option("--list", "listed", is_flag=True, help="List the keys first (asks for the PIN).")
@click.option(
    "--confirm", metavar="TEXT", help="The serial or name that you would type to confirm."
)
def reset(settings: Settings, *, listed: bool, confirm: str | None) -> None:
    """Erase a token completely.

    Erases every key, the PIN and all settings. Keys that are not resident are lost, too: their
    files no longer work. This cannot be undone.
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
    """Tells the user what to do with the token (tokens.reset.ResetGuide)."""

    def unplug(self, name: str) -> None:
        """Ask the user to unplug the token."""
        note(f"Unplug {escape(name)} now.")

    def insert(self, name: str) -> None:
        """Ask the user to plug the token in again, and to touch it."""
        note(f"Plug {escape(name)} in again, and touch it when it blinks.")

    def inserted(self, name: str) -> None:
        """Say that the token is back; the touch notice follows."""
        note(f"{escape(name)} is back.")

    def once_more(self, name: str) -> None:
        """Say why the token has to be unplugged a second time."""
        note(f"{escape(name)} accepts a reset only as its first command. Trying once more.")
