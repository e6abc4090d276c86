"""Signing with keys on tokens for many clients at a time: which token, whose turn, whose PIN.

One signature at a time on a token; tokens do not wait for each other. A token stays open for some
seconds after a signature, so that the next one costs no more than the token's own time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from fidokit.agent.pin_cache import PinCache
from fidokit.agent.ports import Purpose
from fidokit.api import agent_work
from fidokit.api.agent_child import Children, PinPipes
from fidokit.api.agent_notices import Notices
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    Interrupted,
    PinRequired,
    TokenBusy,
    TokenGone,
    TokenMisbehaved,
    TokenNotFound,
)
from fidokit.token.ports import QUIET, Candidate
from fidokit.types import SkFlag, Transport

if TYPE_CHECKING:
    from fidokit.openssh.private import SkPrivate
    from fidokit.token.pin_code import PinCode
    from fidokit.token.session import Session

POLL_S: Final = 0.1
IDLE_S: Final = 5.0
"""How long a token stays open after its last signature."""


class Announcing:
    """An `Interaction` that passes on touch notices; the PIN is another process's business."""

    def __init__(self, notices: Notices, purpose: Purpose) -> None:
        self._notices = notices
        self._purpose = purpose

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        """Not here."""
        return QUIET.ask_pin(token, retries, why, previous_was_wrong)

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        """Not here."""
        return QUIET.ask_new_pin(token, min_length, max_length)

    def touch_wanted(self, token: str, why: str) -> None:  # noqa: ARG002  the purpose says more
        """Tell the person."""
        self._notices.wanted(token, self._purpose)

    def touch_over(self) -> None:
        """Clear the notice."""
        self._notices.over()

    def choose_token(self, candidates: Sequence[Candidate]) -> Candidate | None:  # noqa: ARG002
        """By touch."""
        return None


@dataclass(slots=True)
class Place:
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
        """Whether its unplugging is seen; a contactless token comes and goes unseen."""
        return self.candidate.transport is not Transport.PCSC

    def open(self, interaction: Announcing) -> Session:
        """The session, opened if need be; only by whoever has the turn."""
        if self.session is None:
            from fidokit.token.discover import Opener

            self.session = Opener(interaction)(self.candidate)
        self.session.interaction = interaction
        return self.session

    def close(self) -> None:
        """Let go of the token; only by whoever has the turn."""
        session, self.session = self.session, None
        if session is not None:
            session.close()


class TokenDesk:
    """The `TokenSigner` of the agent.

    Args:
        see: the tokens that may be used, as they are plugged in now; given True, only those
            whose unplugging can be seen at no cost.
        children: for whatever needs a PIN.
        notices: tells the person that a token waits.
        pins: the PINs that are kept.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        see: Callable[[bool], Sequence[Candidate]],
        children: Children,
        notices: Notices,
        pins: PinCache,
        clock: Callable[[], float],
    ) -> None:
        self._see = see
        self._children = children
        self._notices = notices
        self._pins = pins
        self._clock = clock
        self._places: dict[str, Place] = {}
        self._where: dict[bytes, str] = {}
        self._guard = threading.Lock()

    # --- the agent's port ------------------------------------------------------------------

    def sign(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        """A signature by the token that holds the key; see `TokenSigner`."""
        try:
            return self._sign(private, message, purpose, stop)
        except (TokenGone, TokenBusy, TokenMisbehaved, CredentialNotFound):
            # what was known of the token is out of date, and a second look costs little
            if stop.is_set() or self._where.pop(private.public.blob(), None) is None:
                raise
            return self._sign(private, message, purpose, stop)

    def forget(self) -> None:
        """Wipe the PINs that are kept."""
        self._pins.forget_all()

    def _sign(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        announcing = Announcing(self._notices, purpose)
        with self._claimed(private, announcing, stop) as place:
            self._where[private.public.blob()] = place.candidate.selector
            if not private.flags & SkFlag.USER_VERIFICATION_REQUIRED:
                try:
                    return self._here(place, private, message, announcing, stop)
                except PinRequired:
                    pass  # a token that verifies its user at each use
            order = agent_work.sign_request(place.candidate.selector, private, message)
            return agent_work.signature_of(self.by_child(place, order, purpose, stop))

    def _here(
        self,
        place: Place,
        private: SkPrivate,
        message: bytes,
        announcing: Announcing,
        stop: threading.Event,
    ) -> bytes:
        from fidokit.token.sign import sign

        try:
            made = sign(place.open(announcing), private, message, stop=stop)
        except (TokenGone, TokenMisbehaved, Interrupted):
            place.close()
            raise
        finally:
            place.used = self._clock()
        return made.blob()

    def by_child(
        self,
        place: Place,
        order: dict[str, object],
        purpose: Purpose,
        stop: threading.Event,
    ) -> agent_work.Json:
        """Have a child do what may need the PIN of a token whose turn is held.

        Raises:
            FidokitError: the child's error.
        """
        name = place.name
        keeps = place.watched and purpose.pin_may_stay and self._pins.seconds > 0
        told = {**order, "key_name": purpose.key, "what": purpose.what, "keep": keeps}
        pins = PinPipes(
            hand_out=(lambda fd: self._pins.hand_out(name, fd)) if self._pins.has(name) else None,
            keep=(lambda fd: self._pins.keep(name, fd)) if keeps else None,
        )
        hears = _Heard(self._notices, purpose, lambda: self._pins.forget(name))
        try:
            return self._children.run(order=told, hears=hears, stop=stop, pins=pins)
        finally:
            hears.touch_over()

    # --- which token -----------------------------------------------------------------------

    @contextmanager
    def _claimed(
        self, private: SkPrivate, announcing: Announcing, stop: threading.Event
    ) -> Iterator[Place]:
        """The token with this key, its turn held for the `with` block."""
        place = self._claim(private, announcing, stop)
        try:
            yield place
        finally:
            if not place.watched:
                place.close()
            place.turn.release()

    def _claim(self, private: SkPrivate, announcing: Announcing, stop: threading.Event) -> Place:
        selector = self._where.get(private.public.blob(), "")
        known = self._places.get(selector)
        if known is not None and _claim_if_open(known, stop):
            return known
        places = self.places()
        if not places:
            raise TokenNotFound("no security key is connected", hint="plug in the one with the key")
        places.sort(key=lambda place: place.candidate.selector != selector)
        if len(places) == 1 or places[0].candidate.selector == selector:
            _take_turn(places[0], stop)
            return places[0]
        return self._search(private, places, announcing, stop)

    def _search(
        self,
        private: SkPrivate,
        places: Sequence[Place],
        announcing: Announcing,
        stop: threading.Event,
    ) -> Place:
        """Ask each token silently, those first that nobody waits for.

        A key that wants the PIN may show itself to nobody without it: then the person says by
        touch which token it is on, and none is waited for that another client waits for.
        """
        hidden = bool(private.flags & SkFlag.USER_VERIFICATION_REQUIRED)
        idle = [place for place in places if not place.turn.locked()]
        busy = [place for place in places if place not in idle]
        for place in idle if hidden and idle else [*idle, *busy]:
            _take_turn(place, stop)
            if _holds(place, private, announcing):
                return place
            place.turn.release()
        if hidden:
            return self._by_touch(idle or places, announcing, stop)
        raise CredentialNotFound(
            "no token at hand holds this key", hint="plug in the one that made it"
        )

    def _by_touch(
        self, places: Sequence[Place], announcing: Announcing, stop: threading.Event
    ) -> Place:
        from fidokit.token.discover import Opener, choose_by_touch

        candidates = [place.candidate for place in places]
        chosen = choose_by_touch(candidates, Opener(announcing), stop)
        place = next(place for place in places if place.candidate == chosen)
        _take_turn(place, stop)
        return place

    def places(self) -> list[Place]:
        """The tokens that are plugged in now; what was known of others is forgotten."""
        return self._look(watched=False)

    def watched_places(self) -> list[Place]:
        """Those of them whose unplugging can be seen: a contactless one is not disturbed."""
        return self._look(watched=True)

    def _look(self, *, watched: bool) -> list[Place]:
        seen = {candidate.selector: candidate for candidate in self._see(watched)}
        with self._guard:
            for selector, place in list(self._places.items()):
                if selector not in seen and (place.watched or not watched):
                    self._drop(selector)
            return [self._place(candidate) for candidate in seen.values()]

    def _place(self, candidate: Candidate) -> Place:
        mark = _mark(candidate)
        place = self._places.get(candidate.selector)
        if place is None or place.mark != mark:
            self._drop(candidate.selector)
            place = self._places[candidate.selector] = Place(candidate, mark)
        return place

    def _drop(self, selector: str) -> None:
        """It was unplugged: its PIN goes, and the session that leads nowhere."""
        place = self._places.pop(selector, None)
        if place is not None:
            self._pins.forget(place.name)
            if place.turn.acquire(blocking=False):
                place.close()
                place.turn.release()

    # --- upkeep ----------------------------------------------------------------------------

    def knows(self, private: SkPrivate, selector: str) -> None:
        """Note where a key is, found by listing that token."""
        self._where[private.public.blob()] = selector

    @property
    def needs_upkeep(self) -> bool:
        """Whether there is anything that unplugging or time would change."""
        return bool(self._pins.tokens) or any(p.session for p in list(self._places.values()))

    def upkeep(self) -> None:
        """Wipe PINs whose time or token is gone, and let go of tokens that are not used."""
        self._pins.expire()
        self.watched_places()
        for place in list(self._places.values()):
            if place.session is not None and self._clock() - place.used >= IDLE_S:
                self._let_go(place)

    def _let_go(self, place: Place) -> None:
        if place.turn.acquire(blocking=False):
            place.close()
            place.turn.release()

    def close(self) -> None:
        """Wipe all PINs and let go of all tokens."""
        self._pins.forget_all()
        for place in list(self._places.values()):
            self._let_go(place)


@dataclass(slots=True)
class _Heard:
    notices: Notices
    purpose: Purpose
    forget_pin: Callable[[], None]
    wanted: bool = False

    def touch_wanted(self, token: str) -> None:
        self.wanted = True
        self.notices.wanted(token, self.purpose)

    def touch_over(self) -> None:
        if self.wanted:
            self.wanted = False
            self.notices.over()

    def pin_wrong(self) -> None:
        self.forget_pin()


def _claim_if_open(place: Place, stop: threading.Event) -> bool:
    """The turn of a token that is open since its last signature: nothing was unplugged."""
    if place.session is None:
        return False
    _take_turn(place, stop)
    if not place.is_open:
        place.turn.release()
        return False
    return True


def _take_turn(place: Place, stop: threading.Event) -> None:
    """Wait until nobody else uses the token.

    Raises:
        Interrupted: the client hung up meanwhile.
    """
    while not place.turn.acquire(timeout=POLL_S):
        if stop.is_set():
            raise Interrupted("the client hung up while another one used the token")


def _holds(place: Place, private: SkPrivate, announcing: Announcing) -> bool:
    """Whether the token owns up to the key; one that is in trouble does not."""
    from fidokit.token.discover import holds

    try:
        session = place.open(announcing)
        return holds(session, private.key_handle, private.public.application)
    except FidokitError:
        place.close()
        return False


def _mark(candidate: Candidate) -> int:
    """Another number for another token in the same place: each plugging in makes a new node."""
    if candidate.transport is Transport.VIRTUAL:
        from fidokit.virtual import places

        path = str(places.path_of(candidate.path))
    else:
        path = candidate.path
    try:
        return os.stat(path).st_ino  # noqa: PTH116  a reader's name is no path, and no error
    except OSError:
        return 0
