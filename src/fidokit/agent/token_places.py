"""Tokens at hand, as many clients of the agent use them: which, whose turn, what is kept open."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fidokit.agent.notices import Announcing
from fidokit.client.ports import Candidate
from fidokit.errors import FidokitError, Interrupted
from fidokit.tokens.access import all_backends, backends_for
from fidokit.tokens.remembered import identify
from fidokit.types import Transport
from fidokit.virtual import places

if TYPE_CHECKING:
    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import SkPrivate


POLL_S: Final = 0.1
"""Between two looks at whether a client that waits for its turn hung up."""


@dataclass(slots=True)
class TokenPlace:
    """One token: its turn, and the session that is kept open.

    Args:
        candidate: as it was seen last.
        mark: tells it from another token under the same selector.
    """

    candidate: Candidate
    mark: int
    turn: threading.Lock = field(default_factory=threading.Lock)
    session: Session | None = None
    used: float = 0.0

    @property
    def name(self) -> str:
        """What a PIN is kept under: another token in the same place has another one."""
        return f"{self.candidate.selector} {self.mark}"

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self.session is not None

    @property
    def watched(self) -> bool:
        """Whether its unplugging is seen; of contactless tokens where the system counts cards."""
        return self.stays_open or self.mark != 0

    @property
    def stays_open(self) -> bool:
        """Whether it is kept open for a while; a card reader is for others, too."""
        return self.candidate.transport is not Transport.PCSC

    def open(self, interaction: Announcing) -> Session:
        """The session, opened if need be; only by whoever has the turn."""
        if self.session is None:
            from fidokit.client.discovery import Opener

            self.session = Opener(interaction)(self.candidate)
        self.session.interaction = interaction
        return self.session

    def close(self) -> None:
        """Let go of the token; only by whoever has the turn."""
        session, self.session = self.session, None
        if session is not None:
            session.close()


def claim_if_open(place: TokenPlace, stop: threading.Event) -> bool:
    """The turn of a token that is open since its last signature: nothing was unplugged."""
    if place.session is None:
        return False
    take_turn(place, stop)
    if not place.is_open:
        place.turn.release()
        return False
    return True


def take_turn(place: TokenPlace, stop: threading.Event) -> None:
    """Wait until nobody else uses the token.

    Raises:
        Interrupted: the client hung up meanwhile.
    """
    while not place.turn.acquire(timeout=POLL_S):
        if stop.is_set():
            raise Interrupted("the client hung up while another one used the token")


def holds_key(place: TokenPlace, private: SkPrivate, announcing: Announcing) -> bool:
    """Whether the token owns up to the key; one that is in trouble does not."""
    from fidokit.client.discovery import holds

    try:
        session = place.open(announcing)
        return holds(session, private.key_handle, private.public.application)
    except FidokitError:
        place.close()
        return False


def mark_of(candidate: Candidate) -> int:
    """Another number for another token in the same place: each plugging in makes a new node."""
    if candidate.transport is Transport.VIRTUAL:
        path = str(places.path_of(candidate.path))
    else:
        path = candidate.path
    try:
        return os.stat(path).st_ino  # noqa: PTH116  a reader's name is no path, and no error
    except OSError:
        return 0


# --- which are plugged in, looked for as seldom as may be ------------------------------------


MOST_SKIPPED: Final = 10
"""Seconds without a look where nothing seems to have changed; some systems' /dev does not tell."""


class Looks:
    """Tells cheaply whether tokens may have come or gone: plugging changes the folder /dev."""

    def __init__(self) -> None:
        self._stamp: tuple[int, ...] = ()
        self._skipped = 0

    def due(self) -> bool:
        """Whether to look for tokens now; called once a second."""
        stamp = tuple(_modified(path) for path in ("/dev", str(places.folder())))
        self._skipped += 1
        if stamp == self._stamp and self._skipped < MOST_SKIPPED:
            return False
        self._stamp, self._skipped = stamp, 0
        return True


def _modified(folder: str) -> int:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116  once a second
    except OSError:
        return 0


def seconds() -> float:
    """A clock that never runs backwards, and goes on while the machine sleeps where it can."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Sight:
    """The tokens that an agent may use, as they are there now; see `TokenDesk`.

    Args:
        selector: the one token to use; None for all.
    """

    def __init__(self, selector: str | None = None) -> None:
        from fidokit.client.links.backends import CardWatch

        self._selector = selector
        self._cards = CardWatch()

    @property
    def has_readers(self) -> bool:
        """Whether a card may be laid on a reader, which changes nothing under /dev."""
        return self._cards.has_readers

    def __call__(self, *, watched: bool) -> Sequence[Candidate]:
        """All hardware, else virtual tokens: who has a key of each kind uses both."""
        if self._selector is not None:
            return self._selected(self._selector, watched=watched)
        from fidokit.client import discovery

        others = [b for b in all_backends() if b.transport is not Transport.PCSC]
        usb = [b for b in others if b.transport is Transport.USB]
        hardware = discovery.seen(usb)
        if self._may_ask_cards(watched=watched):
            hardware += self._cards.candidates()
        if not (hardware or watched):
            hardware = list(self._cards.busy())
        return hardware or discovery.in_order(others)

    def mark(self, candidate: Candidate) -> int:
        """Another number for another token in the same place."""

        if candidate.transport is Transport.PCSC:
            return self._cards.count(candidate.path)
        return mark_of(candidate)

    def _selected(self, selector: str, *, watched: bool) -> Sequence[Candidate]:
        from fidokit.client import discovery

        where = [b for b in backends_for(selector) if b.transport is not Transport.PCSC]
        if len(where) < len(backends_for(selector)) and self._may_ask_cards(watched=watched):
            where.append(self._cards)
        try:
            return [discovery.find(selector, where, discovery.Opener(identify=identify))]
        except FidokitError:
            return []

    def _may_ask_cards(self, *, watched: bool) -> bool:
        """Not again and again where each look would disturb whoever uses the card."""
        return self._cards.counts or not watched
