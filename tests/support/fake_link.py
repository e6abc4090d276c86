"""A scripted `Link`: answers in turn, whatever a test wants, rubbish and silence included."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from fidokit import cbor
from fidokit.client.connection import Label
from fidokit.client.links.watchdog import Patience
from fidokit.client.ports import CBOR, Candidate, Interaction, PinCode
from fidokit.client.session import Session
from fidokit.types import Transport

Keepalive = Callable[[int], None]
Canceled = Callable[[], bool]
Live = Callable[[bytes, Keepalive, Canceled], bytes]
Reply = bytes | Exception | Live

QUICK = Patience(silence=0.03, total=5.0, grace=0.03)
"""Real time, but so little of it that a silent token costs a test 60 ms."""

UNHURRIED = Patience(silence=0.5, total=5.0, grace=0.5)
"""For tokens that answer: a busy machine must not pass for a silent token."""

GET_INFO = {
    1: ["U2F_V2", "FIDO_2_0", "FIDO_2_1"],
    2: ["credProtect"],
    3: bytes(range(16)),
    4: {"rk": True, "up": True, "clientPin": False, "credMgmt": True, "pinUvAuthToken": True},
    5: 1200,
    6: [2, 1],
    10: [{"alg": -7, "type": "public-key"}, {"alg": -8, "type": "public-key"}],
}


def ok(members: Mapping[object, object] | None = None) -> bytes:
    """An answer with status 0 and, where given, its map."""
    return b"\0" if members is None else b"\0" + cbor.encode(members)  # type: ignore[arg-type]


def info(**options: bool) -> bytes:
    """A getInfo answer with these options changed; None removes one."""
    merged = {**GET_INFO[4], **options}  # type: ignore[dict-item]
    return ok({**GET_INFO, 4: {name: on for name, on in merged.items() if on is not None}})


def stall(_request: bytes, _keepalive: Keepalive, _canceled: Canceled) -> bytes:
    """Never answer: neither keep-alive nor a look at the order to stop."""
    threading.Event().wait(30)  # the watchdog leaves long before; its thread is a daemon
    return b""


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
    link: object, person: Interaction | None = None, patience: Patience = UNHURRIED
) -> Session:
    """A session on `link`."""
    return Session(
        link,  # type: ignore[arg-type]
        Label("test token", "virtual:test", True),
        interaction=person or Person("1234"),
        patience=patience,
    )


def candidate(name: str, link: object, transport: Transport = Transport.VIRTUAL) -> Candidate:
    """A candidate that opens to `link`; an exception is raised instead."""

    def opened() -> object:
        if isinstance(link, Exception):
            raise link
        return link

    return Candidate(transport, name, name, name, f"{transport}:{name}", True, opened)  # type: ignore[arg-type]


class FakeClock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
