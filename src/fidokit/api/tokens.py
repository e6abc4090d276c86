"""Tokens: which ones are there, opening one, what it says of itself, and its reset."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fidokit.token.ports import QUIET, Backend, Candidate, Interaction, TokenInfo
from fidokit.types import Transport

if TYPE_CHECKING:
    from fidokit.token.pin import PinStatus
    from fidokit.token.session import Session


@dataclass(frozen=True, slots=True)
class TokenSummary:
    """One token that is at hand: what it is, or why it cannot be opened.

    `selector` is what `--token` takes; `durable` says whether it will mean the same token
    tomorrow. `info` is None when the token was not or could not be opened; then `problem` is one
    sentence and `hint` the remedy (both empty when it was merely not asked).
    All text except `selector` comes from the token: escape it before a terminal.
    """

    selector: str
    durable: bool
    transport: Transport
    path: str
    product: str
    serial: str | None
    info: TokenInfo | None = None
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class TokenDetails:
    """An open token: its name and selector, getInfo, and the state of its PIN."""

    name: str
    selector: str
    durable: bool
    info: TokenInfo
    pin: PinStatus


def list_tokens(
    *, with_info: bool = True, backends: Sequence[Backend] | None = None
) -> list[TokenSummary]:
    """Every token at hand over HID, PC/SC and among the virtual ones.

    Never raises for one token's sake: a token that cannot be opened is listed with its problem.

    Args:
        with_info: open each token for its getInfo; without, nothing is opened.
        backends: where to look; all of this machine's when None.
    """
    raise NotImplementedError


@contextmanager
def open_token(
    selector: str | None = None,
    interaction: Interaction = QUIET,
    *,
    spend_last_try: bool = False,
    backends: Sequence[Backend] | None = None,
) -> Iterator[Session]:
    """Open one token for the `with` block; close it at the end, cancelling on Ctrl-C.

    Args:
        selector: `usb:SERIAL`, `virtual:NAME`, ...; None reads FIDOKIT_TOKEN, then the
            configuration file, then takes the only token there is or lets `interaction` choose.
        interaction: how a person is asked for PIN, touch and choice.
        spend_last_try: allow the last PIN try to be spent.

    Raises:
        TokenNotFound, SeveralTokens, TokenBusy, NoPermission, UsageError (bad selector).
    """
    raise NotImplementedError
    yield


def token_info(session: Session) -> TokenDetails:
    """What the open token says of itself, and its PIN's state (CTAP 2.3 section 6.4)."""
    raise NotImplementedError


def wink(session: Session) -> None:
    """Make the token blink. Raises Unsupported where it has no wink."""
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset would destroy, and what the person must type to allow it.

    Attributes:
        name: the token's human label.
        confirm: the serial or name that must be typed, exactly.
        resident: how many resident credentials die; None where the token does not say.
        credentials: "application / user" of each SSH credential, where the PIN was given;
            None where it was not asked or not accepted.
        others: how many of them belong to websites; None where unknown.
        must_replug: whether the token wants to be unplugged and inserted first (hardware).
    """

    name: str
    selector: str
    confirm: str
    resident: int | None
    credentials: tuple[str, ...] | None
    others: int | None
    must_replug: bool


class ResetGuide(Protocol):
    """What a person must do during a reset; the command shows it, tests act on it."""

    def unplug(self, name: str) -> None:
        """Ask to take the token out; returns at once."""

    def insert(self, name: str) -> None:
        """Ask to put it back; returns at once. The reset must start within 10 seconds."""

    def inserted(self, name: str) -> None:
        """The token is back; a touch is asked next (through the Interaction)."""


def plan_reset(session: Session, *, ask_pin: bool = False) -> ResetPlan:
    """Find out what a reset would destroy. Changes nothing.

    Args:
        ask_pin: list the credentials by name, which needs the PIN; without, only counts.
    """
    raise NotImplementedError


def reset(
    plan: ResetPlan,
    *,
    typed: str,
    guide: ResetGuide,
    interaction: Interaction = QUIET,
    backends: Sequence[Backend] | None = None,
    sleep: Callable[[float], None] | None = None,
    clock: Callable[[], float] | None = None,
) -> None:
    """Erase the token: all credentials, the PIN, all settings (CTAP 2.3 section 6.6).

    Call it with no session open on the token: it is unplugged and opened again.

    Args:
        typed: what the person typed; must equal `plan.confirm`, else nothing happens.
        sleep, clock: seconds; the system's when None.

    Raises:
        UsageError when `typed` differs; TokenNotFound when the token does not come back within
        60 seconds; TouchTimedOut, TouchRefused, TokenRefused (too late after power-up).
    """
    raise NotImplementedError


__all__ = [
    "QUIET",
    "Backend",
    "Candidate",
    "Interaction",
    "ResetGuide",
    "ResetPlan",
    "Session",
    "TokenDetails",
    "TokenInfo",
    "TokenSummary",
    "list_tokens",
    "open_token",
    "plan_reset",
    "reset",
    "token_info",
    "wink",
]
