"""Tokens: where they are looked for, which ones are there, opening one, what it says of itself.

`client` knows nothing of `virtual`; here the one is handed to the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from fidokit.client.info import TokenInfo
from fidokit.client.ports import QUIET, Backend, Candidate, Interaction, Link
from fidokit.errors import FidokitError, Interrupted, TokenGone
from fidokit.tokens.departures import met, watched
from fidokit.types import Transport
from fidokit.virtual.gestures import PROMPT, Gestures, PromptPerson

if TYPE_CHECKING:
    from fidokit.client.owner.pin import PinStatus
    from fidokit.client.session import Session
    from fidokit.client.tolerance import Departed
    from fidokit.types import Application, KeyHandle
    from fidokit.virtual.store.schema import TokenIdentity
    from fidokit.virtual.token import VirtualToken


@dataclass(frozen=True, slots=True)
class TokenSummary:
    """One connected token: what it is, or why it cannot be opened.

    `selector` is what `--token` takes; `durable` says whether it will mean the same token
    tomorrow. `info` is None when the token was not or could not be opened; then `problem` is one
    sentence and `hint` the remedy (both empty when it was merely not asked). `pin` is the state of
    its PIN where that was wanted.
    `identifier` is the durable `id:` selector of a token that is remembered, else None.
    `departures` are the ways in which it departs from CTAP's text, see docs/tolerance.md.
    All text except `selector` comes from the token: escape it before a terminal.
    """

    selector: str
    durable: bool
    transport: Transport
    path: str
    product: str
    serial: str | None
    info: TokenInfo | None = None
    pin: PinStatus | None = None
    problem: str = ""
    hint: str = ""
    identifier: str | None = None
    departures: tuple[Departed, ...] = ()

    @property
    def model(self) -> str:
        """What the FIDO metadata calls its model; "" if that is not known."""
        return _model(self.info)


@dataclass(frozen=True, slots=True)
class TokenDetails:
    """An open token: its name and selector, getInfo, and the state of its PIN.

    `identifier` is its durable `id:` selector where it is remembered, else None. `departures` are
    the ways in which it departs from CTAP's text, as docs/tolerance.md names them.
    """

    name: str
    selector: str
    durable: bool
    info: TokenInfo
    pin: PinStatus
    identifier: str | None = None
    departures: tuple[Departed, ...] = ()

    @property
    def model(self) -> str:
        """What the FIDO metadata calls its model; "" if that is not known."""
        return _model(self.info)


def _model(info: TokenInfo | None) -> str:
    from fidokit.metadata.model_names import model_name

    return model_name(info.aaguid) if info is not None else ""


def list_tokens(
    *, with_info: bool = True, with_pin: bool = False, backends: Sequence[Backend] | None = None
) -> list[TokenSummary]:
    """Every connected token over HID, PC/SC and among the virtual ones.

    Never raises for one token's sake: a token that cannot be opened is listed with its problem.

    Args:
        with_info: open each token for its getInfo; without, nothing is opened.
        with_pin: ask each for the state of its PIN, too.
        backends: where to look; all of this machine's when None.
    """
    from fidokit.client import discovery

    where = all_backends() if backends is None else backends
    found = discovery.seen(where)
    return [_summary(one, with_info=with_info, with_pin=with_pin) for one in found]


def selectors() -> Iterator[tuple[str, str]]:
    """What `--token` can be now, with the token's name; nothing is opened, and no reader is asked.

    Readers are left out because asking one may disturb the program that uses its card.
    """
    from fidokit.client.owner.persistent import selector_of
    from fidokit.tokens.remembered import keeper

    found = (one for make in (_virtual, _hid) for one in make(QUIET).candidates())
    yield from ((one.selector, one.product) for one in found)
    for kept in keeper().kept():
        if kept.identifier:
            yield selector_of(kept.identifier), kept.name


def _summary(candidate: Candidate, *, with_info: bool, with_pin: bool) -> TokenSummary:
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
    from fidokit.client import discovery
    from fidokit.client.owner.pin import pin_status

    try:
        with discovery.open_session(candidate) as session:
            pin = pin_status(session) if with_pin else None
            found = _recognized(seen, session.info)
            return replace(found, pin=pin, departures=met(session))
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
    selector: str | VirtualToken | None = None,
    interaction: Interaction = QUIET,
    *,
    spend_last_try: bool = False,
    backends: Sequence[Backend] | None = None,
) -> Iterator[Session]:
    """Open one token for the `with` block; close it at the end, canceling on Ctrl-C.

    Args:
        selector: `usb:SERIAL`, `virtual:NAME`, `id:...`, or a virtual token itself; None reads
            FIDOKIT_TOKEN, then the configuration file, then takes the only token there is or lets
            `interaction` choose.
        interaction: how a user is asked for PIN, touch and choice.
        spend_last_try: allow the last PIN try to be spent.

    Raises:
        TokenNotFound, SeveralTokens, TokenBusy, NoPermission, UsageError (bad selector).
    """
    from fidokit.client import discovery
    from fidokit.tokens.configuration import configured_selector
    from fidokit.tokens.remembered import identify

    opener = discovery.Opener(interaction, spend_last_try, identify=identify)
    if selector is None or isinstance(selector, str):
        chosen = selector or configured_selector()
        where = backends_for(chosen, interaction) if backends is None else backends
        candidate = discovery.find(chosen, where, opener)
    else:
        candidate = _virtual_candidate(selector.name, selector.identity, selector.link)
    with watched(opener(candidate)) as session:
        yield session


@contextmanager
def open_link(
    selector: str | None = None, interaction: Interaction = QUIET
) -> Iterator[tuple[Candidate, Link]]:
    """A token as it was found, and a bare link to it for the `with` block: nothing is asked of it.

    Args:
        selector: as `open_token`.
        interaction: how a user is asked to choose.

    Raises:
        TokenNotFound, SeveralTokens, TokenBusy, NoPermission, UsageError (bad selector).
    """
    from fidokit.client import discovery
    from fidokit.tokens.configuration import configured_selector

    chosen = selector or configured_selector()
    opener = discovery.Opener(interaction)
    candidate = discovery.find(chosen, backends_for(chosen, interaction), opener)
    link = candidate.open()
    try:
        yield candidate, link
    finally:
        link.close()


@contextmanager
def token_holding(
    handle: KeyHandle,
    application: Application,
    interaction: Interaction = QUIET,
    *,
    selector: str | None = None,
    spend_last_try: bool = False,
    backends: Sequence[Backend] | None = None,
) -> Iterator[Session]:
    """Open the token that holds a key, known by its handle and application.

    With a selector, or one configured, that token is taken; else each connected token is asked
    silently, without touch or PIN.

    Args:
        handle, application: of the key; a private key file has both.

    Raises:
        TokenNotFound: no connected token holds it; and all that `open_token` raises.
    """
    from fidokit.client import discovery
    from fidokit.tokens.configuration import configured_selector

    selector = selector or configured_selector()
    if selector is not None:
        with open_token(
            selector, interaction, spend_last_try=spend_last_try, backends=backends
        ) as session:
            yield session
        return
    opener = discovery.Opener(interaction, spend_last_try)
    where = all_backends(interaction) if backends is None else backends
    what = "No security key is connected: plug in the one that holds this key"
    candidates = discovery.awaited(where, opener, what)
    with watched(discovery.holder_of(handle, application, candidates, opener)) as session:
        yield session


def token_info(session: Session) -> TokenDetails:
    """What the open token says of itself, and its PIN's state (CTAP 2.3 section 6.4)."""
    from fidokit.client.owner.pin import pin_status
    from fidokit.tokens.remembered import identify

    return TokenDetails(
        session.name,
        session.selector,
        session.durable,
        session.info,
        pin_status(session),
        identify(session.info),
        met(session),
    )


# --- where tokens are looked for -------------------------------------------------------------


def all_backends(interaction: Interaction = QUIET) -> Sequence[Backend]:
    """Everything that this machine may reach a token by.

    Args:
        interaction: who is asked for touches of virtual tokens, if it has `Gestures` too.
    """
    return [make(interaction) for make in _MAKERS.values()]


def _virtual(interaction: Interaction) -> Backend:
    return VirtualBackend(interaction if isinstance(interaction, Gestures) else None)


def _hid(_interaction: Interaction) -> Backend:
    from fidokit.client.links.backends import HidBackend

    return HidBackend(who_holds=_holder)


def _pcsc(_interaction: Interaction) -> Backend:
    from fidokit.client.links.backends import PcscBackend, on_hid

    return PcscBackend(who_holds=_card_users, elsewhere=on_hid)


def backends_for(selector: str | None, interaction: Interaction = QUIET) -> Sequence[Backend]:
    """Only those that can have the selected token: asking a card reader takes time.

    Args:
        selector: None or one whose first part names no transport means all.
        interaction: as `all_backends`.
    """
    kind, _, value = (selector or "").partition(":")
    if kind == Transport.SOCKET:
        return [SocketBackend(value)]
    if kind == Transport.PCSC:  # whoever names a reader means it
        from fidokit.client.links.backends import PcscBackend

        return [PcscBackend(who_holds=_card_users)]
    make = _MAKERS.get(kind)
    return [make(interaction)] if make else all_backends(interaction)


def _holder(node: str) -> str | None:
    from fidokit.system.hid import holders
    from fidokit.system.host import Host

    return ", ".join(holders(Host(), node, but=os.getpid())) or None


def _card_users(_reader: str) -> str | None:
    from fidokit.system.hid import card_programs
    from fidokit.system.host import Host

    return ", ".join(card_programs(Host(), but=os.getpid())) or None


class VirtualBackend(NamedTuple):
    """The virtual tokens under this user's state folder; opening one plugs it in, or shares it.

    Args:
        asked: who is asked for touches of tokens with presence `prompt`; None for nobody.
    """

    asked: Gestures | None = None
    transport: Transport = Transport.VIRTUAL

    def candidates(self) -> Sequence[Candidate]:
        """One for each, whether or not another process has it plugged in."""
        from fidokit.virtual import registry

        try:
            found = registry.list_tokens()
            return [_candidate(entry.name, entry.identity, self.asked) for entry in found]
        except FidokitError:
            return []

    def problem(self) -> str | None:
        """Why the state folder cannot be read."""
        from fidokit.virtual import registry

        try:
            registry.list_tokens()
        except FidokitError as error:
            return error.message
        return None


class SocketBackend(NamedTuple):
    """The virtual token that somebody serves at a socket, for who names it.

    Args:
        path: as `fidokit virtual serve --socket` got it, or where a container has it; `~` is home.
    """

    path: str
    transport: Transport = Transport.SOCKET

    def candidates(self) -> Sequence[Candidate]:
        """One, if there is a socket."""
        if not self._place.is_socket():
            return []
        return [
            Candidate(
                transport=Transport.SOCKET,
                path=self.path,
                product="fidokit virtual token",
                serial=None,
                selector=f"socket:{self.path}",
                durable=False,
                open=self._open,
            )
        ]

    @property
    def _place(self) -> Path:
        return Path(os.path.expanduser(self.path))  # noqa: PTH111  a text that may be anything

    def problem(self) -> str | None:
        """A missing socket is not a problem of the way as a whole."""
        return None

    def _open(self) -> Link:
        from fidokit.virtual.transports.socket import connect_at

        link = connect_at(self._place)
        if link is None:
            raise TokenGone(
                f"nobody serves a token at {self.path}",
                hint="start it: fidokit virtual serve NAME --socket PATH",
            )
        return link


def _candidate(name: str, identity: TokenIdentity | None, asked: Gestures | None) -> Candidate:
    prompts = identity is not None and identity.presence == PROMPT
    opened = partial(_open_prompting, name, asked) if prompts else partial(_open, name)
    return _virtual_candidate(name, identity, opened)


def _virtual_candidate(
    name: str, identity: TokenIdentity | None, opened: Callable[[], Link]
) -> Candidate:
    return Candidate(
        transport=Transport.VIRTUAL,
        path=name,
        product="fidokit virtual token",
        serial=identity.serial if identity else None,
        selector=f"virtual:{name}",
        durable=True,
        open=opened,
    )


def _open(name: str) -> Link:
    from fidokit.virtual import shared

    return shared.open_link(name)


def _open_prompting(name: str, asked: Gestures | None) -> Link:
    from fidokit.virtual import shared
    from fidokit.virtual.world import SystemClock

    person = PromptPerson(f"virtual:{name}", asked, SystemClock().now_ms)
    return shared.open_link(name, presence=person)


_MAKERS: Final[Mapping[str, Callable[[Interaction], Backend]]] = {
    Transport.USB: _hid,
    Transport.PCSC: _pcsc,
    Transport.VIRTUAL: _virtual,
}
