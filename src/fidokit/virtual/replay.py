"""A token that answers as another one did, from a recording of that one.

It knows no keys. A request gets the answer that the next like it got in the recording: the same
command and subcommand, and the same members if there is such a one; what differs in every session
(challenges, proofs of a PIN, encrypted parts) does not count. Behind the last comes the first
again. A PIN is asked for and never compared.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from fidokit import cbor
from fidokit.errors import MalformedCbor
from fidokit.types import CtapStatus
from fidokit.virtual.core import profile as profiles
from fidokit.virtual.core.context import USB
from fidokit.virtual.core.ports import Clock, NeedsPresence, Outcome, PresenceKind
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.presence import UP_NEEDED
from fidokit.virtual.recorded import RecordedExchange, Recording, decode
from fidokit.virtual.store.schema import REPLAY

_CBOR: Final = 0x04
_NO_MSG: Final = 0x08
_GET_INFO: Final = b"\x04"
_TOUCH_MS: Final = 30_000
_NOT_SERVED: Final = b"\x6d\x00"
_REFUSALS: Final = {
    Outcome.REFUSED: CtapStatus.OPERATION_DENIED,
    Outcome.TIMED_OUT: CtapStatus.USER_ACTION_TIMEOUT,
}
_VARIABLE: Final = {
    0x01: {1, 6, 8},
    0x02: {2, 4, 6},
    0x06: {3, 4, 5, 6},
    0x09: {5},
    0x0A: {4},
    0x0C: {5},
    0x0D: {4},
    0x40: {5},
    0x41: {4},
}
"""Members that differ between sessions, by command: hashes, proofs, encrypted parts, extensions."""
_SUBCOMMAND: Final = {0x06: 2, 0x09: 2, 0x0A: 1, 0x0D: 1, 0x40: 2, 0x41: 1}

_Key = tuple[object, ...]


def profile_of(text: str) -> Profile:
    """What a token of this recording claims to be.

    Raises:
        MalformedFile: it is not a recording.
    """
    recording = decode(text.encode())
    versions = _versions(recording) if recording.capabilities & _CBOR else ()
    if not recording.capabilities & _NO_MSG and "U2F_V2" not in versions:
        versions = (*versions, "U2F_V2")
    return replace(profiles.profile("ctap2.1"), name=REPLAY, versions=versions)


def _versions(recording: Recording) -> tuple[str, ...]:
    for exchange in recording.exchanges:
        if (
            exchange.kind == "cbor"
            and exchange.request == _GET_INFO
            and exchange.answer[:1] == b"\0"
        ):
            try:
                info = cbor.decode(exchange.answer[1:])
            except MalformedCbor:
                continue
            told = info.get(1) if isinstance(info, dict) else None
            if isinstance(told, list) and all(isinstance(name, str) for name in told):
                return tuple(str(name) for name in told)
    return ("FIDO_2_0",)


class ReplayingAuthenticator:
    """Answers from a recording; see `core.engine.Authenticator` for its methods.

    Args:
        text: the recording.
        clock: monotonic milliseconds.
    """

    def __init__(self, text: str, clock: Clock) -> None:
        self._exchanges = [one for one in decode(text.encode()).exchanges if not one.error]
        self._clock = clock
        self._at = 0
        self._pending: bytes | None = None

    @property
    def waiting(self) -> bool:
        """Whether a command waits for a touch."""
        return self._pending is not None

    def begin(
        self, request: bytes, _channel: int = 0, _transport: str = USB
    ) -> bytes | NeedsPresence:
        """The answer that the next request like this one got."""
        found = self._next("cbor", request)
        if found is None:
            return bytes([CtapStatus.INVALID_COMMAND])
        if UP_NEEDED not in {status for _, status in found.keepalives}:
            return found.answer
        self._pending = found.answer
        return NeedsPresence(PresenceKind.TOUCH, self._clock.now_ms() + _TOUCH_MS)

    def begin_msg(self, apdu: bytes, _channel: int = 0) -> bytes:
        """The answer that the next U2F message like this one got."""
        found = self._next("msg", apdu)
        return _NOT_SERVED if found is None else found.answer

    def resume(self, outcome: Outcome) -> bytes:
        """Go on after a wait for a touch."""
        answer, self._pending = self._pending, None
        if outcome in _REFUSALS:
            return bytes([_REFUSALS[outcome]])
        return answer or bytes([CtapStatus.OTHER])

    def cancel(self) -> bytes | None:
        """End a wait for a touch."""
        waited, self._pending = self._pending, None
        return None if waited is None else bytes([CtapStatus.KEEPALIVE_CANCEL])

    def power_cycle(self) -> None:
        """Forget what waits; the place in the recording stays."""
        self._pending = None

    def _next(self, kind: str, request: bytes) -> RecordedExchange | None:
        count = len(self._exchanges)
        order = [(self._at + step) % count for step in range(count)]
        wanted = key_of(kind, request)
        like = [at for at in order if self._like(at, wanted[:3])]
        same = [at for at in like if self._like(at, wanted)]
        for at in [*same, *like]:
            self._at = at + 1
            return self._exchanges[at]
        return None

    def _like(self, at: int, wanted: _Key) -> bool:
        exchange = self._exchanges[at]
        return key_of(exchange.kind, exchange.request)[: len(wanted)] == wanted


def key_of(kind: str, request: bytes) -> _Key:
    """What makes two requests alike: kind, command, subcommand; the rest makes them the same."""
    if kind != "cbor":
        return (kind, request[1:2], request[2:3], request[4:])
    command = request[0] if request else -1
    try:
        members = cbor.decode(request[1:]) if len(request) > 1 else {}
    except MalformedCbor:
        return (kind, command, None, request[1:])
    if not isinstance(members, dict):
        return (kind, command, None, request[1:])
    variable = _VARIABLE.get(command, set())
    stable = {name: value for name, value in members.items() if name not in variable}
    subcommand = members.get(_SUBCOMMAND[command]) if command in _SUBCOMMAND else None
    return (kind, command, subcommand, repr(stable))
