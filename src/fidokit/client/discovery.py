"""Which token is meant: by selector, by being the only one, by choice, or by the key it holds."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import Final, Self

from fidokit.client.connection import Connection, Label
from fidokit.client.contention import until_free, until_there
from fidokit.client.info import TokenInfo
from fidokit.client.links.watchdog import Patience
from fidokit.client.ports import QUIET, Backend, Candidate, Interaction
from fidokit.client.session import Session
from fidokit.client.status import CtapRefusal
from fidokit.errors import (
    FidokitError,
    Interrupted,
    SeveralTokens,
    TokenNotFound,
    TouchTimedOut,
    UsageError,
)
from fidokit.types import Application, CtapCommand, KeyHandle, Transport

_AAGUID: Final = "aaguid"
_ID: Final = "id"
_DIGITS: Final = {_AAGUID: 32, _ID: 16}
"""Hexadecimal digits of the selectors for which a token has to be opened and asked."""
_KINDS: Final = frozenset({*Transport, *_DIGITS})
_POLL_S: Final = 0.1
"""Between two looks at whether a choice by touch is still wanted."""
_ORDER: Final = (Transport.USB, Transport.PCSC, Transport.VIRTUAL)
"""Without a selector, a contactless reader is looked at only when nothing is on USB, and virtual
tokens only when there is no hardware: a test's leftover must never stand in for a real key."""


@dataclass(frozen=True, slots=True)
class Selector:
    """What names a token on the command line: KIND ":" VALUE.

    `usb:SERIAL`, `virtual:NAME` and `id:HEX` (a remembered token) are durable;
    `usb:/dev/hidraw3` (or a link to it), `pcsc:READER`, `socket:PATH` and `aaguid:HEX` name a
    token as it is connected now, or one of its model.
    """

    kind: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """The selector in `text`.

        Raises:
            UsageError: not of that form.
        """
        kind, colon, value = text.partition(":")
        if not colon or not value or kind not in _KINDS:
            raise UsageError(
                f"{text!r} does not name a token",
                hint="write usb:SERIAL, usb:/dev/hidrawN, pcsc:READER, virtual:NAME, socket:PATH, "
                "id:HEX or aaguid:HEX; "
                "`fidokit token list` shows them",
            )
        if kind in _DIGITS:
            value = value.replace("-", "").lower()
            if len(value) != _DIGITS[kind] or set(value) - set("0123456789abcdef"):
                raise UsageError(
                    f"{text!r} does not name a token: {kind}: wants {_DIGITS[kind]} "
                    "hexadecimal digits"
                )
        return cls(kind, value)

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    def matches(self, candidate: Candidate) -> bool:
        """Whether this names the candidate, as far as can be said without opening it."""
        return self.kind == candidate.transport and (
            str(self) == candidate.selector
            or self.value == candidate.path
            or (self.value.startswith("/dev/") and os.path.realpath(self.value) == candidate.path)
        )


@dataclass(frozen=True, slots=True)
class Opener:
    """How a candidate becomes a session.

    Args:
        interaction: how the owner is reached.
        spend_last_try: whether the last PIN try may be spent.
        patience: time limits.
        identify: the `id:` selector of a token that says this of itself; None for strangers.
    """

    interaction: Interaction = QUIET
    spend_last_try: bool = False
    patience: Patience = field(default_factory=Patience)
    identify: Callable[[TokenInfo], str | None] = lambda _info: None

    def __call__(self, candidate: Candidate) -> Session:
        """Open the token.

        Raises:
            NoPermission, TokenBusy, TokenGone, TokenMisbehaved, TokenSilent: it cannot be opened.
        """
        connection = Connection(
            until_free(candidate.open, _called(candidate), self.interaction, self.patience),
            Label(_called(candidate), candidate.selector, candidate.durable, candidate.transport),
            interaction=self.interaction,
            spend_last_try=self.spend_last_try,
            patience=self.patience,
        )
        return Session(connection)


def _called(candidate: Candidate) -> str:
    """A name for messages; what the device says of itself must not drive a terminal."""
    name = f"{candidate.product} ({candidate.selector})"
    return "".join(char if char.isprintable() else "?" for char in name)


def open_session(
    candidate: Candidate, interaction: Interaction = QUIET, *, spend_last_try: bool = False
) -> Session:
    """Open one token with the usual time limits. Raises as `Opener`."""
    return Opener(interaction, spend_last_try)(candidate)


def seen(backends: Iterable[Backend]) -> list[Candidate]:
    """Every token that any backend sees."""
    return [candidate for backend in backends for candidate in backend.candidates()]


def find(selector: str | None, backends: Sequence[Backend], opener: Opener) -> Candidate:
    """The one token that is meant.

    Args:
        selector: what the user named, or None.
        backends: the ways of reaching tokens.
        opener: opens tokens where they have to be asked, and reaches the user who chooses.

    Raises:
        TokenNotFound: none, or none of that name.
        SeveralTokens: several, and nobody to ask.
        UsageError: the selector cannot be read.
    """
    if selector is None:
        candidates = awaited(backends, opener, "No security key is connected: plug one in")
        if not candidates:
            raise _none_seen(backends)
        return choose(candidates, opener)
    named = Selector.parse(selector)
    look = _Look(lambda: _named(named, backends, opener), backends)
    # a virtual token is not plugged in: one that is not there is a slip of the fingers
    waits = opener.interaction if named.kind != Transport.VIRTUAL else QUIET
    what = f"{selector} is not connected: plug it in"
    found = until_there(look, what, waits, opener.patience)
    if not found:
        raise TokenNotFound(
            f"no token {selector} is connected",
            hint=_MISSING.get(named.kind, _MISSING[""]),
        )
    return choose(found, opener)


def awaited(backends: Sequence[Backend], opener: Opener, what: str) -> list[Candidate]:
    """The tokens that count when none is named, waited for while there are none.

    Args:
        backends: the ways of reaching tokens.
        opener: reaches the user who may wait.
        what: is said to that user, see `contention.until_there`.
    """
    interaction, patience = opener.interaction, opener.patience
    return until_there(lambda: in_order(backends) or None, what, interaction, patience) or []


class _Look:
    """Looks for tokens that have to be opened to be known, anew only when others are there.

    Args:
        find: opens and asks.
        backends: the ways of reaching tokens.
    """

    def __init__(self, find: Callable[[], list[Candidate]], backends: Sequence[Backend]) -> None:
        self._find = find
        self._backends = backends
        self._known: list[str] | None = None

    def __call__(self) -> list[Candidate] | None:
        """Those that fit; None for none."""
        if self._known is None:
            self._known = []
            return self._found()
        there = [candidate.path for candidate in seen(self._backends)]
        if there == self._known:
            return None
        self._known = there
        return self._found()

    def _found(self) -> list[Candidate] | None:
        return self._find() or None


_MISSING: Final[Mapping[str, str]] = {
    "": "plug it in; `fidokit token list` shows what is there",
    Transport.SOCKET: "start it with `fidokit virtual serve NAME --socket PATH`, or check the path",
    _ID: "plug it in; one whose PIN was changed has to be remembered again with "
    "`fidokit key list --remember`",
}


def in_order(backends: Sequence[Backend]) -> list[Candidate]:
    """The tokens that count when none is named: on USB, else on a reader, else virtual."""
    for transport in _ORDER:
        candidates = seen(backend for backend in backends if backend.transport is transport)
        if candidates:
            return candidates
    return []


def choose(candidates: Sequence[Candidate], opener: Opener) -> Candidate:
    """One of them: the only one, from a list, or the one that is touched.

    Raises:
        SeveralTokens: nobody can be asked.
        TouchTimedOut, Interrupted: nobody touched any.
    """
    if len(candidates) == 1:
        return candidates[0]
    chosen = opener.interaction.choose_token(candidates)
    return chosen if chosen is not None else choose_by_touch(candidates, opener)


def _named(selector: Selector, backends: Sequence[Backend], opener: Opener) -> list[Candidate]:
    if selector.kind not in _DIGITS:
        right = (backend for backend in backends if backend.transport == selector.kind)
        return [candidate for candidate in seen(right) if selector.matches(candidate)]
    return [c for c in seen(backends) if _says(selector, c, opener)]


def _says(selector: Selector, candidate: Candidate, opener: Opener) -> bool:
    """Whether the token, opened, says that it is what the selector names."""
    try:
        with opener(candidate) as session:
            if selector.kind == _AAGUID:
                return session.info.aaguid == bytes.fromhex(selector.value)
            return opener.identify(session.info) == str(selector)
    except Interrupted:
        raise
    except FidokitError:
        return False  # another token's trouble is not this command's


def _none_seen(backends: Sequence[Backend]) -> TokenNotFound:
    problems = [problem for backend in backends if (problem := backend.problem())]
    return TokenNotFound(
        "no security key is connected",
        hint="; ".join(["plug one in, or see `fidokit doctor`", *problems]),
    )


# --- by touch --------------------------------------------------------------------------------


def choose_by_touch(
    candidates: Sequence[Candidate], opener: Opener, canceled: threading.Event | None = None
) -> Candidate:
    """The one that its owner touches first; the others stop waiting.

    Args:
        candidates: which ones.
        opener: opens them.
        canceled: set by somebody else to end the waiting.

    Raises:
        TouchTimedOut: none was touched.
        SeveralTokens: none of them could be asked for a touch.
        Interrupted: Ctrl-C, or `canceled`.
    """
    silent = replace(opener, interaction=QUIET)
    stop = threading.Event()
    touched: SimpleQueue[Candidate | FidokitError] = SimpleQueue()
    ended: SimpleQueue[object] = SimpleQueue()

    def tell(outcome: Candidate | FidokitError) -> None:
        touched.put(outcome)
        ended.put(outcome)

    waiting = [
        threading.Thread(target=_await_touch, args=(c, silent, stop, tell), daemon=True)
        for c in candidates
    ]
    opener.interaction.touch_wanted("any of the tokens", "choosing the one that is meant")
    for thread in waiting:
        thread.start()
    try:
        return _first_touched(touched, candidates, canceled or threading.Event())
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the tokens no longer wait") from None
    finally:
        stop.set()
        _let_them_end(ended, len(waiting), opener.patience)
        opener.interaction.touch_over()


def _let_them_end(ended: SimpleQueue[object], count: int, patience: Patience) -> None:
    """Wait, not for long, until so many tokens were let go of."""
    deadline = patience.clock() + patience.grace
    with suppress(Empty):
        for _ in range(count):
            patience.take(ended, deadline)


def _await_touch(
    candidate: Candidate,
    opener: Opener,
    stop: threading.Event,
    tell: Callable[[Candidate | FidokitError], None],
) -> None:
    try:
        with opener(candidate) as session:
            session.select(stop)
    except FidokitError as error:
        tell(error)
    else:
        tell(candidate)


def _first_touched(
    touched: SimpleQueue[Candidate | FidokitError],
    candidates: Sequence[Candidate],
    canceled: threading.Event,
) -> Candidate:
    errors: list[FidokitError] = []
    while len(errors) < len(candidates):
        try:
            event = touched.get(timeout=_POLL_S)
        except Empty:
            if canceled.is_set():
                raise Interrupted("the tokens no longer wait") from None
            continue
        if isinstance(event, Candidate):
            return event
        errors.append(event)
    late = next((error for error in errors if isinstance(error, TouchTimedOut)), None)
    if late is not None:
        raise late
    raise SeveralTokens(
        f"none of {len(candidates)} tokens could be asked for a touch ({errors[0].message})",
        hint="name one with --token: " + ", ".join(c.selector for c in candidates),
    )


# --- by key ----------------------------------------------------------------------------------


def holder_of(
    key_handle: KeyHandle,
    application: Application,
    candidates: Sequence[Candidate],
    opener: Opener,
) -> Session:
    """The open token that holds a key; tokens are asked silently, without PIN or touch.

    A key under credProtect 3 shows itself to nobody without the PIN, so when no token owns up
    the user chooses; a single token is not asked at all.

    Raises:
        TokenNotFound: there are no candidates.
        NoPermission, TokenBusy, TokenGone: the only one cannot be opened.
        SeveralTokens: none owns up and nobody can be asked.
    """
    if not candidates:
        raise TokenNotFound("no security key is connected", hint="plug in the one with this key")
    if len(candidates) == 1:
        return opener(candidates[0])
    usable: list[Candidate] = []
    for candidate in candidates:
        session = _if_holding(candidate, key_handle, application, opener, usable)
        if session is not None:
            return session
    return opener(choose(usable or candidates, opener))


def _if_holding(
    candidate: Candidate,
    key_handle: KeyHandle,
    application: Application,
    opener: Opener,
    usable: list[Candidate],
) -> Session | None:
    """The token opened, if it owns up to the key; a token that works at all goes to `usable`."""
    try:
        with ExitStack() as undo:
            session = opener(candidate)
            undo.callback(session.close)
            if holds(session, key_handle, application):
                undo.pop_all()
                return session
            usable.append(candidate)
    except Interrupted:
        raise
    except FidokitError:
        pass  # one token's trouble must not hide the key on another
    return None


def holds(session: Session, key_handle: KeyHandle, application: Application) -> bool:
    """Whether the token shows this key without PIN and touch (CTAP 2.1 section 6.1.2 pre-flight).

    Raises:
        TokenMisbehaved, TokenSilent, TokenGone: the token does, is, or went.
    """
    if session.info.is_u2f_only:
        from fidokit.client.credentials import u2f

        return u2f.holds(
            session.connection, hashlib.sha256(application.encode()).digest(), key_handle
        )
    request: dict[int, object] = {
        1: application,
        2: bytes(32),
        3: [{"id": bytes(key_handle), "type": "public-key"}],
        5: {"up": False},
    }
    try:
        session.connection.attempt(
            CtapCommand.GET_ASSERTION, request, "assertion", why="looking for the key"
        )
    except CtapRefusal:
        return False
    return True
