"""Connected tokens, as many clients of the agent use them: which, whose turn, what is kept open.

What is kept of a token belongs to that token and not to its place. A descriptor of its node (Linux,
O_PATH: nothing is opened) is held meanwhile, so that no other node can get the same inode number.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

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
_PATH_ONLY: Final[int] = getattr(os, "O_PATH", 0)
"""Names a file without opening it."""


@dataclass(slots=True)
class TokenPlace:
    """One token: its turn, and the session that is kept open.

    Args:
        candidate: as it was seen last.
        mark: tells it from another token under the same selector; 0 if that cannot be told.
    """

    candidate: Candidate
    mark: int
    session: Session | None = None
    used: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _anchor: int | None = None

    def __post_init__(self) -> None:
        """Hold its node; one that was replaced in this moment is not the one that was marked."""
        node = _node(self.candidate)
        if self.mark and node is not None and _PATH_ONLY:
            with suppress(OSError):
                self._anchor = os.open(node, _PATH_ONLY | os.O_CLOEXEC)
                if os.fstat(self._anchor).st_ino != self.mark:
                    self.mark = 0

    @contextmanager
    def turn(self, stop: threading.Event) -> Iterator[None]:
        """Nobody else uses the token in the `with` block.

        Args:
            stop: set when the client hung up, whose wait ends then.

        Raises:
            Interrupted: it hung up meanwhile.
        """
        while not self._lock.acquire(timeout=POLL_S):
            if stop.is_set():
                raise Interrupted("the client hung up while another one used the token")
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def turn_if_free(self) -> Iterator[bool]:
        """The same without waiting; whether there was a turn to take."""
        taken = self._lock.acquire(blocking=False)
        try:
            yield taken
        finally:
            if taken:
                self._lock.release()

    @property
    def in_use(self) -> bool:
        """Whether somebody has its turn."""
        return self._lock.locked()

    def leave(self) -> None:
        """Let go of its node: it was unplugged, or the agent ends."""
        anchor, self._anchor = self._anchor, None
        if anchor is not None:
            os.close(anchor)

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
            from fidokit.tokens.departures import keep

            with session:
                keep(session)


def holds_key(place: TokenPlace, private: SkPrivate, announcing: Announcing) -> bool:
    """Whether the token owns up to the key; one that is in trouble does not."""
    from fidokit.client.discovery import holds

    try:
        session = place.open(announcing)
        return holds(session, private.key_handle, private.public.application)
    except FidokitError:
        place.close()
        return False
    except BaseException:
        place.close()
        raise


def mark_of(candidate: Candidate) -> int:
    """Another number for another token in the same place: each plugging in makes a new node."""
    node = _node(candidate)
    try:
        return 0 if node is None else os.stat(node).st_ino  # noqa: PTH116  hostile text
    except OSError:
        return 0


def _node(candidate: Candidate) -> str | None:
    """The file that stands for a token; None for one on a card reader."""
    if candidate.transport is Transport.VIRTUAL:
        return str(places.path_of(candidate.path))
    return None if candidate.transport is Transport.PCSC else candidate.path


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
    """A clock that never runs backwards, and goes on while the machine sleeps if it can."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Sight:
    """The tokens that an agent may use, as they are there now; see `TokenDesk`.

    Args:
        selector: the one token to use; None for all.
        say: takes a line for the log.
    """

    def __init__(
        self, selector: str | None = None, say: Callable[[str], None] = lambda _line: None
    ) -> None:
        from fidokit.client.links.backends import CardWatch

        self._selector = selector
        self._cards = CardLooks(CardWatch(), say)

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


# --- card readers, whose service may hang ----------------------------------------------------


CARDS_S: Final = 3.0
"""How long a look at the readers may take before the others go on without it."""


class Cards(Protocol):
    """Looks at card readers, as `client.links.backends.CardWatch` does."""

    @property
    def transport(self) -> Transport:
        """How these tokens are reached, which is PC/SC."""

    @property
    def has_readers(self) -> bool:
        """Whether the last look saw a reader."""

    @property
    def counts(self) -> bool:
        """Whether the system counts cards."""

    def problem(self) -> str | None:
        """Why no reader can be seen."""

    def candidates(self) -> Sequence[Candidate]:
        """Cards that are tokens."""

    def busy(self) -> Sequence[Candidate]:
        """Cards that another program uses."""

    def count(self, reader: str) -> int:
        """Another number for another card on this reader."""


class CardLooks:
    """Looks at card readers that end in time: pcscd is another program, and may hang.

    A look that hangs stays the only one; until it comes back no card is seen, and everything that
    is not on a reader goes on.

    Args:
        cards: what looks.
        say: takes a line for the log.
        limit: seconds for a look.
    """

    def __init__(self, cards: Cards, say: Callable[[str], None], limit: float = CARDS_S) -> None:
        self._cards = cards
        self._say = say
        self._limit = limit
        self._looking = threading.Lock()
        self._hangs = False

    @property
    def transport(self) -> Transport:
        """How these tokens are reached, which is PC/SC."""
        return self._cards.transport

    @property
    def has_readers(self) -> bool:
        """Whether the last look saw a reader: only then is the next worth its while soon."""
        return self._cards.has_readers and not self._hangs

    @property
    def counts(self) -> bool:
        """Whether the system counts cards; elsewhere each look asks each card anew."""
        return self._cards.counts

    def problem(self) -> str | None:
        """Why no reader can be seen."""
        return self._cards.problem()

    def count(self, reader: str) -> int:
        """Another number for another card on this reader; 0 if the system does not count."""
        return self._cards.count(reader)

    def candidates(self) -> Sequence[Candidate]:
        """Those that are tokens; none while the service hangs."""
        return self._in_time(self._cards.candidates)

    def busy(self) -> Sequence[Candidate]:
        """Cards that another program uses; none while the service hangs."""
        return self._in_time(self._cards.busy)

    def _in_time(self, look: Callable[[], Sequence[Candidate]]) -> Sequence[Candidate]:
        if not self._looking.acquire(timeout=0 if self._hangs else self._limit):
            return self._hanging()
        found: list[Candidate] = []
        errors: list[Exception] = []
        over = threading.Event()

        def work() -> None:
            try:
                found.extend(look())
            except Exception as error:  # noqa: BLE001  handed to whoever waits
                errors.append(error)
            finally:
                self._looking.release()
                over.set()
                self._back()

        threading.Thread(target=work, daemon=True).start()
        if not over.wait(self._limit):
            return self._hanging()
        if errors:
            raise errors[0]
        return found

    def _hanging(self) -> Sequence[Candidate]:
        if not self._hangs:
            self._hangs = True
            self._say("the PC/SC service does not answer; tokens on card readers are not seen")
        return []

    def _back(self) -> None:
        if self._hangs:
            self._hangs = False
            self._say("the PC/SC service answers again")
