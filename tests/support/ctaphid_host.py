"""A program's end of CTAPHID: the other half of `ctaphid_device`, without reports' carriage.

One channel and one request at a time, as programs have it. Reports of other programs on the same
bus are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from fidokit.errors import TokenMisbehaved, TokenSilent
from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import (
    BROADCAST,
    MAX_MESSAGE,
    NONCE_SIZE,
    Assembler,
    FramingRejection,
    HidCommand,
    Message,
)

RETRY_MS: Final = 100
"""After how long a request is repeated that was refused because the token was busy."""
SILENCE_MS: Final = 3_000
"""How long a token may say nothing while it owes an answer; keep-alives come far more often."""

_INIT_SIZE: Final = 17
_HINT: Final = "unplug it, plug it in and repeat the command"


@dataclass(frozen=True, slots=True)
class Opened:
    """The token gave a channel, or took the one there was for free again.

    Args:
        channel: its number.
        protocol: version of CTAPHID, 2.
        version: major, minor and build of the token.
        capabilities: WINK 01, CBOR 04, NMSG 08.
    """

    channel: int
    protocol: int
    version: tuple[int, int, int]
    capabilities: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """The token works on it: 1 processing, 2 user presence needed."""

    status: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request, without framing."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The framing's ERROR; a token that is busy is asked again instead."""

    status: int


HostEvent: TypeAlias = Opened | Waiting | Answer | Refused


class HidHost:
    """The machine. All times are milliseconds of one clock that never goes back.

    What `open`, `send`, `cancel` and `tick` return are reports of 64 bytes, to be written in order.
    """

    def __init__(self) -> None:
        self._channel = BROADCAST
        self._assembler = Assembler()
        self._request: Message | None = None
        self._retry_ms: int | None = None
        self._silent_ms = 0

    @property
    def channel(self) -> int:
        """The program's own, or FFFFFFFF before there is one."""
        return self._channel

    @property
    def deadline_ms(self) -> int | None:
        """When `tick` is to be called; None while no request is under way."""
        if self._request is None:
            return None
        return self._silent_ms if self._retry_ms is None else self._retry_ms

    def open(self, nonce: bytes, now_ms: int) -> Iterable[bytes]:
        """Ask for a channel; with one already, give up what is under way on it.

        Args:
            nonce: 8 bytes by which the answer is known.
            now_ms: the time.
        """
        assert len(nonce) == NONCE_SIZE
        return self._ask(Message(self._channel, HidCommand.INIT, nonce), now_ms)

    def send(self, command: HidCommand, payload: bytes, now_ms: int) -> Iterable[bytes]:
        """Send a request.

        Args:
            command: PING, MSG, CBOR, WINK or LOCK.
            payload: at most 7609 bytes.
            now_ms: the time.
        """
        assert len(payload) <= MAX_MESSAGE
        return self._ask(Message(self._channel, command, payload), now_ms)

    def cancel(self) -> Iterable[bytes]:
        """Ask the token to end a CBOR request; its answer still comes, KEEPALIVE_CANCEL or not."""
        request = self._request
        if request is None or request.command != HidCommand.CBOR:
            return ()
        return Message(self._channel, HidCommand.CANCEL).reports()

    def receive(self, report: bytes, now_ms: int) -> HostEvent | None:
        """Take a report of 64 bytes.

        Returns:
            What it brought; None where it is another program's, part of something longer, or says
            that the token is busy.

        Raises:
            TokenMisbehaved: it breaks the framing; the channel is to be opened anew.
        """
        if self._request is None or int.from_bytes(report[:4]) != self._channel:
            return None
        try:
            message = self._assembler.feed(report)
        except FramingRejection as rejection:
            raise _misbehaved(f"a report out of place ({rejection.status.name})") from rejection
        self._silent_ms = now_ms + SILENCE_MS
        return None if message is None else self._heard(self._request, message, now_ms)

    def tick(self, now_ms: int) -> Iterable[bytes]:
        """Let time pass: a request that was refused for business is repeated.

        Raises:
            TokenSilent: the token has said nothing for too long.
        """
        request = self._request
        if request is None:
            return ()
        if self._retry_ms is not None:
            return self._ask(request, now_ms) if now_ms >= self._retry_ms else ()
        if now_ms >= self._silent_ms:
            self._over()
            raise TokenSilent(
                f"the token does not answer: nothing for {SILENCE_MS / 1000:g} s", hint=_HINT
            )
        return ()

    def _ask(self, request: Message, now_ms: int) -> Iterable[bytes]:
        self._assembler.forget()
        self._request, self._retry_ms = request, None
        self._silent_ms = now_ms + SILENCE_MS
        return request.reports()

    def _heard(self, request: Message, message: Message, now_ms: int) -> HostEvent | None:
        if message.command == HidCommand.KEEPALIVE:
            return Waiting(_one_byte(message))
        if message.command == HidCommand.ERROR:
            return self._refused(_one_byte(message), now_ms)
        if request.command == HidCommand.INIT:
            return self._opened(request.payload, message)
        if message.command != request.command:
            raise _misbehaved(f"an answer to command {message.command:02x}")
        self._over()
        return Answer(message.payload)

    def _refused(self, status: int, now_ms: int) -> Refused | None:
        if status == CtapStatus.CHANNEL_BUSY:
            self._retry_ms = now_ms + RETRY_MS
            return None
        self._over()
        return Refused(status)

    def _opened(self, nonce: bytes, message: Message) -> Opened | None:
        if message.command != HidCommand.INIT or message.payload[:NONCE_SIZE] != nonce:
            return None  # another program's channel, or the rest of what this one gave up
        about = message.payload[NONCE_SIZE:]
        channel = int.from_bytes(about[:4])
        if len(message.payload) < _INIT_SIZE or channel in {0, BROADCAST}:
            raise _misbehaved("no channel")
        self._channel = channel
        self._over()
        return Opened(channel, about[4], (about[5], about[6], about[7]), about[8])

    def _over(self) -> None:
        self._request = self._retry_ms = None
        self._assembler.forget()


def _one_byte(message: Message) -> int:
    if len(message.payload) != 1:
        raise _misbehaved(f"a status of {len(message.payload)} bytes")
    return message.payload[0]


def _misbehaved(what: str) -> TokenMisbehaved:
    return TokenMisbehaved(f"the token breaks CTAPHID: {what}", hint=_HINT)
