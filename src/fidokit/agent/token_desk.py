"""Signing with keys on tokens for many clients at a time: which token, whose turn, whose PIN.

One signature at a time on a token; tokens do not wait for each other. A token stays open for some
seconds after a signature, so that the next one costs no more than the token's own time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from fidokit.agent.core.held_keys import HeldKey
from fidokit.agent.core.ports import Purpose
from fidokit.agent.notices import Announcing, Heard, Notices
from fidokit.agent.pin import worker
from fidokit.agent.pin.cache import PinCache
from fidokit.agent.pin.child import Children, PinPipes
from fidokit.agent.served_files import CertificateFolders
from fidokit.agent.token_places import TokenPlace, holds_key, mark_of
from fidokit.client.ports import Candidate
from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    Interrupted,
    PinRequired,
    TokenBusy,
    TokenGone,
    TokenMisbehaved,
    TokenNotFound,
    TokenSilent,
)
from fidokit.prompt.text import count
from fidokit.types import SkFlag

if TYPE_CHECKING:
    from fidokit.openssh.keys.private import SkPrivate
    from fidokit.openssh.keys.public import SkPublic


IDLE_S: Final = 5.0
"""How long a token stays open after its last signature."""


class Sees(Protocol):
    """Looks for tokens that may be used."""

    def __call__(self, *, watched: bool) -> Sequence[Candidate]:
        """Those that may be used and are plugged in now.

        Args:
            watched: only those whose unplugging can be seen at no cost.
        """


Marks = Callable[[Candidate], int]
"""Gives another number for another token in the same place, 0 if that cannot be told."""

Counts = Callable[["SkPublic", bytes, float], None]
"""Takes a key, a signature by it, and when that was asked for, seconds since 1970."""


class TokenDesk:
    """The `TokenSigner` of the agent.

    Args:
        see: the tokens that may be used.
        children: for whatever needs a PIN.
        notices: tells the user that a token waits.
        pins: the PINs that are kept.
        clock: monotonic seconds.
        mark: tells tokens in one place apart.
        counted: takes each signature that was made, for its counter.
    """

    def __init__(
        self,
        see: Sees,
        children: Children,
        notices: Notices,
        pins: PinCache,
        clock: Callable[[], float],
        *,
        mark: Marks = mark_of,
        counted: Counts = lambda _key, _signature, _began: None,
    ) -> None:
        self._see = see
        self._mark = mark
        self._counted = counted
        self._children = children
        self._notices = notices
        self._pins = pins
        self._clock = clock
        self._places: dict[str, TokenPlace] = {}
        self._where: dict[bytes, str] = {}
        self._guard = threading.Lock()
        self.active = threading.Event()
        """Set while there is something that unplugging or time would change."""

    # --- the agent's port ------------------------------------------------------------------

    def sign(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        """A signature by the token that holds the key; see `TokenSigner`."""
        began = time.time()
        made = self._made(private, message, purpose, stop)
        self._counted(private.public, made, began)
        return made

    def _made(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        try:
            return self._sign(private, message, purpose, stop)
        except (TokenGone, TokenBusy, TokenMisbehaved, TokenSilent, CredentialNotFound):
            # what was known of the token is out of date, and a second look costs little
            if stop.is_set() or self._where.pop(private.public.blob(), None) is None:
                raise
            return self._sign(private, message, purpose, stop)

    def forget(self) -> None:
        """Wipe the PINs that are kept."""
        self._pins.forget_all()

    def expire(self) -> float | None:
        """Wipe PINs whose time is over; the clock's second of the next one."""
        self._pins.expire()
        return self._pins.next_expiry()

    def _sign(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        announcing = Announcing(self._notices, purpose)
        self.active.set()
        with self._claimed(private, announcing, stop) as place:
            self._where[private.public.blob()] = place.candidate.selector
            if not private.flags & SkFlag.USER_VERIFICATION_REQUIRED:
                try:
                    return self._here(place, private, message, announcing, stop)
                except PinRequired:
                    pass  # a token that verifies its user at each use
            order = worker.sign_request(place.candidate.selector, private, message)
            return worker.signature_of(self.by_child(place, order, purpose, stop))

    def _here(
        self,
        place: TokenPlace,
        private: SkPrivate,
        message: bytes,
        announcing: Announcing,
        stop: threading.Event,
    ) -> bytes:
        from fidokit.client.credentials.signature import sign

        try:
            made = sign(place.open(announcing), private, message, stop=stop)
        except (TokenGone, TokenMisbehaved, TokenSilent, Interrupted):
            place.close()
            raise
        finally:
            place.used = self._clock()
        return made.blob()

    def by_child(
        self,
        place: TokenPlace,
        order: dict[str, object],
        purpose: Purpose,
        stop: threading.Event,
    ) -> worker.Json:
        """Have a child do what may need the PIN of a token whose turn is held.

        Raises:
            FidokitError: the child's error.
        """
        name = place.name
        keeps = place.watched and purpose.pin_may_stay and self._pins.seconds > 0
        told = {
            **order,
            "sure": place.mark != 0,
            "key_name": purpose.key,
            "what": purpose.what,
            "asked_by": purpose.asked_by,
            "keep": keeps,
        }
        pins = PinPipes(
            hand_out=(lambda fd: self._pins.hand_out(name, fd)) if self._pins.has(name) else None,
            keep=(lambda fd: self._pins.keep(name, fd)) if keeps else None,
        )
        hears = Heard(self._notices, purpose, lambda: self._pins.forget(name))
        try:
            return self._children.run(order=told, hears=hears, stop=stop, pins=pins)
        finally:
            hears.touch_over()

    # --- which token -----------------------------------------------------------------------

    @contextmanager
    def _claimed(
        self, private: SkPrivate, announcing: Announcing, stop: threading.Event
    ) -> Iterator[TokenPlace]:
        """The token with this key, its turn held for the `with` block."""
        with ExitStack() as turns:
            place = self._claim(private, announcing, stop, turns)
            try:
                yield place
            finally:
                if not place.stays_open:
                    place.close()

    def _claim(
        self,
        private: SkPrivate,
        announcing: Announcing,
        stop: threading.Event,
        turns: ExitStack,
    ) -> TokenPlace:
        selector = self._where.get(private.public.blob(), "")
        known = self._places.get(selector)
        if known is not None and known.is_open and _claimed_open(known, stop, turns):
            return known
        places = self.places()
        if not places:
            raise TokenNotFound(
                "no security key is connected", hint="plug in the token that holds the key"
            )
        places.sort(key=lambda place: place.candidate.selector != selector)
        if len(places) == 1 or places[0].candidate.selector == selector:
            turns.enter_context(places[0].turn(stop))
            return places[0]
        return self._search(private, places, announcing, stop, turns)

    def _search(
        self,
        private: SkPrivate,
        places: Sequence[TokenPlace],
        announcing: Announcing,
        stop: threading.Event,
        turns: ExitStack,
    ) -> TokenPlace:
        """Ask each token silently, those first that nobody waits for.

        A key that wants the PIN may show itself to nobody without it: then the user says by
        touch which token it is on, and none is waited for that another client waits for.
        """
        hidden = bool(private.flags & SkFlag.USER_VERIFICATION_REQUIRED)
        idle = [place for place in places if not place.in_use]
        busy = [place for place in places if place not in idle]
        for place in idle if hidden and idle else [*idle, *busy]:
            with ExitStack() as turn:
                turn.enter_context(place.turn(stop))
                if holds_key(place, private, announcing):
                    turns.push(turn.pop_all())
                    return place
        if hidden:
            place = self._by_touch(idle or places, announcing, stop)
            turns.enter_context(place.turn(stop))
            return place
        raise CredentialNotFound(
            "no connected token holds this key", hint="plug in the token that made it"
        )

    def _by_touch(
        self, places: Sequence[TokenPlace], announcing: Announcing, stop: threading.Event
    ) -> TokenPlace:
        from fidokit.client.discovery import Opener, choose_by_touch

        candidates = [place.candidate for place in places]
        chosen = choose_by_touch(candidates, Opener(announcing), stop)
        return next(place for place in places if place.candidate == chosen)

    def places(self) -> list[TokenPlace]:
        """The tokens that are plugged in now; what was known of others is forgotten."""
        return self._look(watched=False)

    def watched_places(self) -> list[TokenPlace]:
        """Those of them whose unplugging can be seen."""
        return self._look(watched=True)

    def _look(self, *, watched: bool) -> list[TokenPlace]:
        seen = {candidate.selector: candidate for candidate in self._see(watched=watched)}
        with self._guard:
            for selector, place in list(self._places.items()):
                if selector not in seen and (place.watched or not watched):
                    self._drop(selector)
            return [self._place(candidate) for candidate in seen.values()]

    def _place(self, candidate: Candidate) -> TokenPlace:
        mark = self._mark(candidate)
        place = self._places.get(candidate.selector)
        if place is None or place.mark != mark:
            self._drop(candidate.selector)
            place = self._places[candidate.selector] = TokenPlace(candidate, mark)
        return place

    def _drop(self, selector: str) -> None:
        """It was unplugged: its PIN goes, and the session that leads nowhere."""
        place = self._places.pop(selector, None)
        if place is not None:
            self._pins.forget(place.name)
            self._let_go(place)
            place.leave()

    # --- upkeep ----------------------------------------------------------------------------

    def knows(self, private: SkPrivate, selector: str) -> None:
        """Note where a key is, found by listing that token."""
        self._where[private.public.blob()] = selector

    @property
    def needs_upkeep(self) -> bool:
        """Whether a PIN is kept, or a token open or in use."""
        in_use = any(p.session or p.in_use for p in list(self._places.values()))
        return in_use or bool(self._pins.tokens)

    def upkeep(self) -> list[TokenPlace]:
        """Wipe PINs whose token is gone, and let go of tokens that are not used.

        Returns:
            The tokens that are there and whose unplugging can be seen.
        """
        there = self.watched_places()
        for place in list(self._places.values()):
            if place.session is not None and self._clock() - place.used >= IDLE_S:
                self._let_go(place)
        self.active.clear()
        if self.needs_upkeep:  # looked at after it was cleared: a signature may begin in between
            self.active.set()
        return there

    def _let_go(self, place: TokenPlace) -> None:
        with place.turn_if_free() as taken:
            if taken:
                place.close()

    def close(self) -> None:
        """Wipe all PINs and let go of all tokens."""
        self._pins.forget_all()
        for place in list(self._places.values()):
            self._let_go(place)
            place.leave()


def _claimed_open(place: TokenPlace, stop: threading.Event, turns: ExitStack) -> bool:
    """Whether a token is open since its last signature, so that nothing was unplugged; then its
    turn is taken."""
    with ExitStack() as turn:
        turn.enter_context(place.turn(stop))
        if place.is_open:
            turns.push(turn.pop_all())
            return True
    return False


# --- resident keys served without files ------------------------------------------------------


MOST_DEFECTS: Final = 3
"""After so many in a row a token is left alone: each try may ask its owner for the PIN."""

Found = Callable[[str, Sequence[HeldKey]], None]
"""Takes a token's selector and the keys on it; none of them when it was unplugged."""


class Residents:
    """Lists each token once, when it is plugged in, for its resident keys.

    Listing wants the PIN. It is asked for once a token, unless the right to list it was kept
    (`fidokit key list --remember`); a token whose owner does not answer is left alone until it is
    plugged in again.

    Args:
        desk: the tokens.
        found: told of each token's keys.
        say: takes a line for the log.
        remember: keep the right to list.
        folders: where certificates for the keys may be, besides the token.
    """

    def __init__(
        self,
        desk: TokenDesk,
        found: Found,
        say: Callable[[str], None],
        *,
        remember: bool,
        folders: CertificateFolders | None = None,
    ) -> None:
        self._desk = desk
        self._found = found
        self._say = say
        self._remember = remember
        self._folders = folders or CertificateFolders((), say)
        self._listed: dict[str, TokenPlace] = {}
        self._keys: dict[str, Sequence[tuple[SkPrivate, str]]] = {}
        self._again: list[str] = []
        self._defects: dict[str, int] = {}
        self._at_work: list[threading.Thread] = []
        self._stop = threading.Event()

    def look(self) -> None:
        """Note what was plugged in or out since the last look; called from one thread."""
        now = {place.candidate.selector: place for place in self._desk.upkeep()}
        while self._again:
            self._listed.pop(self._again.pop(), None)
        for selector in [s for s, place in self._listed.items() if now.get(s) is not place]:
            del self._listed[selector]
            self._keys.pop(selector, None)
            self._found(selector, [])
        if self._folders.changed():
            for selector in list(self._keys):
                self._serve(selector)
        for selector, place in now.items():
            if selector not in self._listed:
                # a thread each: a token whose PIN is asked for holds up no other
                work = threading.Thread(target=self._try_to_list, args=(place,), daemon=True)
                work.start()
                self._at_work = [w for w in self._at_work if w.is_alive()] + [work]
                self._listed[selector] = place

    def wait(self) -> None:
        """Until all that were seen are listed, or their owner would not have it."""
        for work in self._at_work:
            work.join()

    def close(self) -> None:
        """Take back what was asked."""
        self._stop.set()
        self.wait()

    def _try_to_list(self, place: TokenPlace) -> None:
        """A defect is logged, and the token is listed again with the next look, a few times."""
        try:
            self._list(place)
            self._defects.pop(place.name, None)
        except Exception as error:  # noqa: BLE001  the boundary: one token's defect is its own
            selector = place.candidate.selector
            self._say(f"the keys on {selector} are not served: {type(error).__name__}: {error}")
            self._defects[place.name] = self._defects.get(place.name, 0) + 1
            if self._defects[place.name] < MOST_DEFECTS:
                self._again.append(selector)

    def _list(self, place: TokenPlace) -> None:
        selector = place.candidate.selector
        purpose = Purpose("", "listing the SSH keys on the token for the agent")
        order = worker.list_request(selector, remember=self._remember)
        try:
            with place.turn(self._stop):
                place.close()
                result = self._desk.by_child(place, order, purpose, self._stop)
            keys = worker.keys_of(result)
        except TokenBusy as error:
            self._say(f"the keys on {selector} are not served yet: {error.message}")
            self._again.append(selector)
            return
        except FidokitError as error:
            self._say(f"the keys on {selector} are not served: {error.message}")
            return
        for problem in worker.problems_of(result):
            self._say(f"not served from {selector}: {problem}")
        for private, _ in keys:
            self._desk.knows(private, selector)
        self._keys[selector] = keys
        self._serve(selector)
        certified = [private for private, _ in keys if private.certificate]
        what = count(len(keys) - len(certified), "key")
        what += f" and {count(len(certified), 'certificate')}" if certified else ""
        self._say(f"serving {what} on {selector}")

    def _serve(self, selector: str) -> None:
        """The keys and certificates of a token, each key followed by those that a folder has."""
        entries = []
        for private, comment in self._keys.get(selector, ()):
            entries.append(HeldKey(private, comment, token=selector))
            if private.certificate is None:
                entries += [
                    HeldKey(private._replace(certificate=one), comment, token=selector)
                    for one in self._folders.of(private.public)
                ]
        self._found(selector, entries)
