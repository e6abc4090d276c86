"""Resetting a token: what dies, the user's consent, and the dance with the plug."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from fidokit.client.credentials import resident
from fidokit.client.discovery import open_session
from fidokit.client.owner.pin import pin_status
from fidokit.client.ports import QUIET, Backend, Candidate, Interaction
from fidokit.errors import TokenNotFound, TokenRefused, Unsupported, UsageError
from fidokit.tokens.access import backends_for
from fidokit.tokens.remembered import remembered
from fidokit.types import Aaguid, CtapStatus, Transport

if TYPE_CHECKING:
    from fidokit.client.session import Session

_Found = TypeVar("_Found")

POLL: Final = 0.1
"""Seconds between two looks at what is plugged in; a reset must follow within 10 s of power-up."""

PATIENCE: Final = 60.0
"""Seconds that a user gets to unplug the token, and again to insert it."""

_ANY: Final = "reset"
_VIRTUAL: Final = frozenset({Transport.VIRTUAL, Transport.SOCKET})
"""Transports of tokens that power up when they are opened: nobody can unplug them."""
_CARD_WAYS: Final = frozenset({"nfc", "smart-card"})


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """What a reset would destroy, and what the user must type to allow it.

    Attributes:
        name: the token's human label.
        confirm: the serial or name that must be typed, exactly.
        resident: how many resident credentials die; None if the PIN was not asked, or the
            token cannot say.
        credentials: "application user" of each SSH credential; None if `resident` is.
        others: how many more of them belong to websites; None if `resident` is.
        must_replug: whether the token must be unplugged and inserted first (hardware).
        trait: what tells the token from another one that is inserted instead.
    """

    name: str
    selector: str
    confirm: str
    resident: int | None
    credentials: tuple[str, ...] | None
    others: int | None
    must_replug: bool
    durable: bool
    trait: Trait


class Trait(NamedTuple):
    """What tells a token from another, without PIN and touch, before and after a replug.

    Two tokens of one model, fresh from the shop, may have the same; those that differ in anything
    are told apart.
    """

    transport: Transport | None
    versions: tuple[str, ...]
    aaguid: Aaguid
    firmware: int | None
    options: frozenset[tuple[str, bool]]
    remaining: int | None
    pin_tries: int | None


def _trait(session: Session, *, counting_tries: bool = True) -> Trait:
    info = session.info
    return Trait(
        session.connection.transport,
        info.versions,
        info.aaguid,
        info.firmware_version,
        frozenset(info.options.items()),
        info.remaining_resident,
        pin_status(session).retries if counting_tries else None,
    )


class ResetGuide(Protocol):
    """What a user must do during a reset; the command shows it, tests act on it."""

    def unplug(self, name: str) -> None:
        """Ask to take the token out; returns at once."""

    def insert(self, name: str) -> None:
        """Ask to put it back; returns at once. The reset must start within 10 seconds."""

    def inserted(self, name: str) -> None:
        """The token is back; a touch is asked next (through the Interaction)."""

    def once_more(self, name: str) -> None:
        """The token is reset by its first command alone, and another one came: start over."""


def plan_reset(session: Session, *, ask_pin: bool = False) -> ResetPlan:
    """Find out what a reset would destroy. Changes nothing.

    Args:
        ask_pin: count and name the credentials, which needs the PIN if one is set.

    Raises:
        Unsupported: the token is not reset by the way that it is reached.
        With `ask_pin`, what listing credentials raises (PinError and others).
    """
    _require_way(session)
    listed = _credentials(session) if ask_pin else None
    own = None if listed is None else tuple(name for name in listed if name.startswith("ssh:"))
    return ResetPlan(
        name=session.name,
        selector=session.selector,
        confirm=_confirmation(session),
        resident=None if listed is None else len(listed),
        credentials=own,
        others=None if listed is None or own is None else len(listed) - len(own),
        must_replug=session.connection.transport not in _VIRTUAL,
        durable=session.durable,
        trait=_trait(session),
    )


def _require_way(session: Session) -> None:
    """CTAP 2.3 tokens say over which transports they are reset; most leave contactless ones out."""
    ways = session.info.transports_for_reset
    on_reader = session.connection.transport is Transport.PCSC
    if ways and on_reader and not _CARD_WAYS & set(ways):
        raise Unsupported(
            f"{session.name} cannot be reset on a card reader, only over {', '.join(ways)}",
            hint="connect it that way, and repeat",
        )


def _credentials(session: Session) -> list[str] | None:
    if session.info.has_cred_mgmt is None:
        return None
    if session.info.pin_set is False and not session.info.uv_configured:
        return []  # nothing resident can be made without either
    found = resident.list_credentials(session, any_rp=True)
    return [f"{held.application} {held.user}".rstrip() for held in found]


def _confirmation(session: Session) -> str:
    """A durable selector's own part is the serial or the virtual token's name."""
    if session.durable:
        return session.selector.partition(":")[2]
    product = session.name.partition(" (")[0]
    return "".join(c for c in product if c.isprintable()).strip() or _ANY


def reset_token(
    plan: ResetPlan,
    *,
    typed: str,
    guide: ResetGuide,
    interaction: Interaction = QUIET,
    backends: Sequence[Backend] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Erase the token: all credentials, the PIN, all settings (CTAP 2.3 section 6.6).

    Call it with no session open on the token: it is unplugged and opened again.

    Args:
        typed: what the user typed; must equal `plan.confirm`, else nothing happens.
        sleep, clock: seconds; a test's own.

    Raises:
        UsageError: `typed` differs.
        TokenNotFound: the token did not leave or come back in 60 seconds, or another one came.
        TouchTimedOut, TouchRefused, TokenRefused (too late after power-up), Unsupported.
    """
    if typed != plan.confirm:
        raise UsageError(
            f"what was typed is not {plan.confirm!r}, so nothing was reset",
            hint="type it exactly as shown",
        )
    where = backends_for(plan.selector, interaction) if backends is None else backends
    watch = _Watch(plan, where, sleep, clock)
    try:
        _reset_once(plan, watch, guide, interaction)
    except TokenRefused as error:
        # OpenSK is reset by the first command alone, and PIN tries were asked for. The token was
        # proved to be the right one by then; the next time, getInfo must do.
        if error.status != CtapStatus.NOT_ALLOWED or plan.trait.pin_tries is None:
            raise
        guide.once_more(plan.name)
        told = replace(plan, trait=plan.trait._replace(pin_tries=None))
        _reset_once(told, watch, guide, interaction)


def _reset_once(
    plan: ResetPlan, watch: _Watch, guide: ResetGuide, interaction: Interaction
) -> None:
    candidate = watch.replugged(guide) if plan.must_replug else watch.present()
    with open_session(candidate, interaction) as session:
        if _trait(session, counting_tries=plan.trait.pin_tries is not None) != plan.trait:
            raise TokenNotFound(
                f"another token than {plan.name} was inserted, so nothing was reset",
                hint="start again with the right one",
            )
        forgotten = remembered(session)
        session.reset()
    forgotten()


@dataclass(frozen=True, slots=True)
class _Watch:
    """Looks again and again at what is plugged in."""

    plan: ResetPlan
    backends: Sequence[Backend]
    sleep: Callable[[float], None]
    clock: Callable[[], float]

    def present(self) -> Candidate:
        """The token where it is."""
        return self._until(self._same, "is no longer there")

    def replugged(self, guide: ResetGuide) -> Candidate:
        """The token after it was taken out and put back."""
        guide.unplug(self.plan.name)
        others = self._until(self._others, "was not unplugged")
        guide.insert(self.plan.name)
        candidate = self._until(lambda: self._newcomer(others), "did not come back")
        guide.inserted(self.plan.name)
        return candidate

    def _until(self, look: Callable[[], _Found | None], failed: str) -> _Found:
        deadline = self.clock() + PATIENCE
        while (found := look()) is None:
            if self.clock() >= deadline:
                raise TokenNotFound(
                    f"{self.plan.name} {failed} within {PATIENCE:.0f} seconds",
                    hint="nothing was reset; start again",
                )
            self.sleep(POLL)
        return found

    def _seen(self) -> list[Candidate]:
        return [candidate for backend in self.backends for candidate in backend.candidates()]

    def _same(self) -> Candidate | None:
        return next((seen for seen in self._seen() if seen.selector == self.plan.selector), None)

    def _others(self) -> frozenset[str] | None:
        """The other tokens, once ours is gone."""
        selectors = frozenset(seen.selector for seen in self._seen())
        return None if self.plan.selector in selectors else selectors

    def _newcomer(self, others: frozenset[str]) -> Candidate | None:
        """Ours by its durable selector; else what was not there when ours was out."""
        if self.plan.durable:
            return self._same()
        new = [seen for seen in self._seen() if seen.selector not in others]
        if len(new) > 1:
            raise TokenNotFound(
                f"{len(new)} tokens were inserted, and which one is {self.plan.name} cannot be "
                "known, so nothing was reset",
                hint="start again, and insert only that one",
            )
        return new[0] if new else None
