"""Tokens: which ones are there, opening one, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fidokit.client.info import TokenInfo
from fidokit.client.ports import QUIET, Backend, Candidate, Interaction
from fidokit.errors import FidokitError, Interrupted
from fidokit.types import Transport

if TYPE_CHECKING:
    from fidokit.client.owner.pin import PinStatus
    from fidokit.client.session import Session


@dataclass(frozen=True, slots=True)
class TokenSummary:
    """One token that is at hand: what it is, or why it cannot be opened.

    `selector` is what `--token` takes; `durable` says whether it will mean the same token
    tomorrow. `info` is None when the token was not or could not be opened; then `problem` is one
    sentence and `hint` the remedy (both empty when it was merely not asked).
    `identifier` is the durable `id:` selector of a token that is remembered, else None.
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
    identifier: str | None = None


@dataclass(frozen=True, slots=True)
class TokenDetails:
    """An open token: its name and selector, getInfo, and the state of its PIN.

    `identifier` is its durable `id:` selector where it is remembered, else None.
    """

    name: str
    selector: str
    durable: bool
    info: TokenInfo
    pin: PinStatus
    identifier: str | None = None


def list_tokens(
    *, with_info: bool = True, backends: Sequence[Backend] | None = None
) -> list[TokenSummary]:
    """Every token at hand over HID, PC/SC and among the virtual ones.

    Never raises for one token's sake: a token that cannot be opened is listed with its problem.

    Args:
        with_info: open each token for its getInfo; without, nothing is opened.
        backends: where to look; all of this machine's when None.
    """
    from fidokit.client import discovery

    return [
        _summary(candidate, with_info=with_info)
        for candidate in discovery.seen(_backends(backends))
    ]


def _backends(
    backends: Sequence[Backend] | None,
    selector: str | None = None,
    interaction: Interaction = QUIET,
) -> Sequence[Backend]:
    from fidokit.tokens.backends import backends_for

    return backends_for(selector, interaction) if backends is None else backends


def _summary(candidate: Candidate, *, with_info: bool) -> TokenSummary:
    seen = TokenSummary(
        selector=candidate.selector,
        durable=candidate.durable,
        transport=candidate.transport,
        path=candidate.path,
        product=candidate.product,
        serial=candidate.serial,
    )
    if not with_info:
        return seen
    try:
        with open_candidate(candidate) as session:
            return _recognized(seen, session.info)
    except Interrupted:
        raise
    except FidokitError as error:
        return replace(seen, problem=error.message, hint=error.hint)


def _recognized(seen: TokenSummary, info: TokenInfo) -> TokenSummary:
    """With what is known of a remembered token, which may have no better selector."""
    from fidokit.tokens.remembered import identify

    known = identify(info)
    found = replace(seen, info=info, identifier=known)
    return replace(found, selector=known, durable=True) if known and not seen.durable else found


@contextmanager
def open_token(
    selector: str | None = None,
    interaction: Interaction = QUIET,
    *,
    spend_last_try: bool = False,
    backends: Sequence[Backend] | None = None,
) -> Iterator[Session]:
    """Open one token for the `with` block; close it at the end, canceling on Ctrl-C.

    Args:
        selector: `usb:SERIAL`, `virtual:NAME`, `id:...`; None reads FIDOKIT_TOKEN, then the
            configuration file, then takes the only token there is or lets `interaction` choose.
        interaction: how a person is asked for PIN, touch and choice.
        spend_last_try: allow the last PIN try to be spent.

    Raises:
        TokenNotFound, SeveralTokens, TokenBusy, NoPermission, UsageError (bad selector).
    """
    from fidokit.client import discovery
    from fidokit.tokens.configuration import configured_selector
    from fidokit.tokens.remembered import identify

    chosen = selector or configured_selector()
    opener = discovery.Opener(interaction, spend_last_try, identify=identify)
    where = _backends(backends, chosen, interaction)
    with opener(discovery.find(chosen, where, opener)) as session:
        yield session


@contextmanager
def open_candidate(
    candidate: Candidate, interaction: Interaction = QUIET, *, spend_last_try: bool = False
) -> Iterator[Session]:
    """The same for a token that was found already."""
    from fidokit.client import discovery

    with discovery.open_session(candidate, interaction, spend_last_try=spend_last_try) as session:
        yield session


def token_info(session: Session) -> TokenDetails:
    """What the open token says of itself, and its PIN's state (CTAP 2.3 section 6.4)."""
    from fidokit.client.owner import pin
    from fidokit.tokens.remembered import identify

    return TokenDetails(
        session.name,
        session.selector,
        session.durable,
        session.info,
        pin.status(session),
        identify(session.info),
    )


def wink(session: Session) -> None:
    """Make the token blink. Raises Unsupported where it has no wink."""
    session.wink()


__all__ = [
    "QUIET",
    "Backend",
    "Candidate",
    "Interaction",
    "Session",
    "TokenDetails",
    "TokenInfo",
    "TokenSummary",
    "list_tokens",
    "open_candidate",
    "open_token",
    "token_info",
    "wink",
]


def __getattr__(name: str) -> object:
    # Session's module costs more than the rest of this one together, and most callers only
    # want its name for an annotation.
    if name == "Session":
        from fidokit.client.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
