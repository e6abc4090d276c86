"""A scripted `Link`: answers in turn, whatever a test wants, rubbish and silence included."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from fidokit import cbor
from fidokit.client.connection import Connection, Label
from fidokit.client.links.watchdog import Patience
from fidokit.client.ports import CBOR, Candidate, Interaction, PinCode
from fidokit.client.session import Session
from fidokit.types import Transport

Keepalive = Callable[[int], None]
Canceled = Callable[[], bool]
Live = Callable[[bytes, Keepalive, Canceled], bytes]
Reply = bytes | Exception | Live

HANGING_S = 60.0
"""Real seconds after which a test fails that waits for what never comes."""

_TIME_PASSED = object()

GET_INFO: dict[int, Any] = {
    1: ["U2F_V2", "FIDO_2_0", "FIDO_2_1"],
    2: ["credProtect"],
    3: bytes(range(16)),
    4: {"rk": True, "up": True, "clientPin": False, "credMgmt": True, "pinUvAuthToken": True},
    5: 1200,
    6: [2, 1],
    10: [{"alg": -7, "type": "public-key"}, {"alg": -8, "type": "public-key"}],
}


def ok(members: Mapping[Any, Any] | None = None) -> bytes:
    """An answer with status 0 and, where given, its map."""
    return b"\0" if members is None else b"\0" + cbor.encode(members)


def info(**options: bool | None) -> bytes:
    """A getInfo answer with these options changed; None removes one."""
    merged = {**GET_INFO[4], **options}
    return ok({**GET_INFO, 4: {name: on for name, on in merged.items() if on is not None}})


def stall(clock: SteeredClock) -> Live:
    """Never answer: neither keep-alive nor a look at the order to stop."""

    def stalled(_request: bytes, _keepalive: Keepalive, _canceled: Canceled) -> bytes:
        clock.rush()
        threading.Event().wait(HANGING_S)  # the watchdog leaves long before; a daemon waits here
        return b""

    return stalled


class FakeLink:
    """Gives its replies in turn and remembers the requests; runs dry with a disconnect."""

    def __init__(self, *replies: Reply, apdus: tuple[bytes, ...] = (), capabilities: int = CBOR):
        self.capabilities = capabilities
        self.requests: list[bytes] = []
        self.winks = 0
        self.closed = 0
        self._replies = list(replies)
        self._apdus = list(apdus)

    def cbor(self, request: bytes, on_keepalive: Keepalive, canceled: Canceled) -> bytes:
        self.requests.append(request)
        if not self._replies:
            raise OSError(19, "No such device")
        reply = self._replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, bytes) else reply(request, on_keepalive, canceled)

    def msg(self, apdu: bytes) -> bytes:
        self.requests.append(apdu)
        if not self._apdus:
            raise OSError(19, "No such device")
        return self._apdus.pop(0)

    def wink(self) -> None:
        self.winks += 1

    def close(self) -> None:
        self.closed += 1


class Person:
    """An `Interaction` that plays its lines and remembers what it was asked."""

    def __init__(self, *pins: str, chooses: int | None = None) -> None:
        self.pins = list(pins)
        self.chooses = chooses
        self.asked: list[tuple[int | None, bool]] = []
        self.touches: list[str] = []
        self.touches_over = 0

    def ask_pin(
        self, token: str, retries: int | None, why: str, previous_was_wrong: bool
    ) -> PinCode:
        self.asked.append((retries, previous_was_wrong))
        return PinCode.parse(self.pins.pop(0) if len(self.pins) > 1 else self.pins[0])

    def ask_new_pin(self, token: str, min_length: int, max_length: int) -> PinCode:
        return PinCode.parse(self.pins[0])

    def touch_wanted(self, token: str, why: str) -> None:
        self.touches.append(why)

    def touch_over(self) -> None:
        self.touches_over += 1

    def choose_token(self, candidates: object) -> Candidate | None:
        assert isinstance(candidates, list)
        return None if self.chooses is None else candidates[self.chooses]


def session_on(
    link: object, person: Interaction | None = None, patience: Patience | None = None
) -> Session:
    """A session on `link`; time stands still where no other patience is given."""
    connection = Connection(
        link,  # type: ignore[arg-type]
        Label("test token", "virtual:test", True, Transport.VIRTUAL),
        interaction=person or Person("1234"),
        patience=patience or SteeredClock().patience(),
    )
    return Session(connection)


def candidate(name: str, link: object, transport: Transport = Transport.VIRTUAL) -> Candidate:
    """A candidate that opens to `link`; an exception is raised instead."""

    def opened() -> object:
        if isinstance(link, Exception):
            raise link
        return link

    return Candidate(transport, name, name, name, f"{transport}:{name}", True, opened)  # type: ignore[arg-type]


class SteeredClock:
    """Seconds that a test moves; however busy the machine is, nothing times out by itself."""

    def __init__(self) -> None:
        self.now = 0.0
        self._guard = threading.Lock()
        self._waiting: list[SimpleQueue[object]] = []
        self._rushed: list[SimpleQueue[object]] = []
        self._rush_next = False

    def __call__(self) -> float:
        return self.now

    def patience(self, **limits: Any) -> Patience:  # as Patience's own
        """A patience on this clock."""
        return Patience(clock=self, sleep=self.advance, take=self.take)._replace(**limits)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        with self._guard:
            self.now += seconds
            self._wake()

    def rush(self) -> None:
        """Say that nothing more will come to who waits now, or else to who waits next.

        Time passes for them as fast as they can wait.
        """
        with self._guard:
            self._rushed += self._waiting
            self._rush_next = not self._waiting
            self._wake()

    def take(self, box: SimpleQueue[object], deadline: float) -> object:
        """See `Patience.take`."""
        with self._guard:
            self._waiting.append(box)
            if self._rush_next:
                self._rushed.append(box)
                self._rush_next = False
        try:
            return self._next(box, deadline)
        finally:
            with self._guard:
                self._waiting.remove(box)

    def _next(self, box: SimpleQueue[object], deadline: float) -> object:
        while True:
            event = self._event(box, deadline)
            if event is not _TIME_PASSED:
                return event

    def _event(self, box: SimpleQueue[object], deadline: float) -> object:
        with suppress(Empty):
            return box.get_nowait()
        with self._guard:
            if box in self._rushed:
                self.now = max(self.now, deadline)
            if self.now >= deadline:
                raise Empty
        try:
            return box.get(timeout=HANGING_S)
        except Empty:
            raise AssertionError("nothing comes, and nobody moves the clock") from None

    def _wake(self) -> None:
        for box in self._waiting:
            box.put(_TIME_PASSED)
