"""A virtual token as an opened HID device, for host code that deals in reports: no kernel."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, Protocol, TypeAlias

from fidokit.errors import FidokitError, TokenGone
from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import (
    BROADCAST,
    LONGEST,
    NONCE_SIZE,
    PROTOCOL_VERSION,
    REPORT_SIZE,
    Assembler,
    FramingRejection,
    HidCommand,
    Message,
    error,
)
from fidokit.virtual.transports.memory import MemoryLink

SILENCE_S: Final = 60.0
"""How long a read waits for a report before it takes the token for dead."""

_VERSION: Final = bytes((1, 0, 0))
_CBOR: Final = 0x04
_NO_MSG: Final = 0x08
_SHORTEST_APDU: Final = 4

_Reports: TypeAlias = SimpleQueue["bytes | FidokitError | OSError"]


class Pluggable(Protocol):
    """The token behind the device."""

    @property
    def capabilities(self) -> int:
        """CTAPHID's bits: WINK 01, CBOR 04, NMSG 08."""
        ...

    def link(self) -> MemoryLink:
        """A new channel."""
        ...


@dataclass(slots=True)
class _Running:
    """A command under way, which INIT on its channel, or closing, silences."""

    channel: int
    cancelled: bool = False
    silenced: bool = False


class HidConnection:
    """One opening of a token's HID device: reports are written and read, as with a device node.

    Each opening has channels and reports of its own, so two programs never see each other's.
    Commands run in a thread of their own, so that CANCEL can reach one that waits. Vanished
    tokens look as they do on Linux: OSError with EIO.

    Args:
        token: the other end.
        silence_s: seconds that a read waits at most; TimeoutError then.
    """

    def __init__(self, token: Pluggable, silence_s: float = SILENCE_S) -> None:
        self._token = token
        self._silence_s = silence_s
        self._assembler = Assembler()
        self._reports: _Reports = SimpleQueue()
        self._links: dict[int, MemoryLink] = {}
        self._channels = itertools.count(1)
        self._turn = threading.Lock()
        self._running: _Running | None = None
        self._closed = False

    def write_packet(self, data: bytes) -> None:
        """Write one report.

        Args:
            data: 64 bytes, without a report number before them.

        Raises:
            OSError: EINVAL, a report of another size; EIO, the token is gone; EBADF, closed.
        """
        self._require_open()
        if len(data) != REPORT_SIZE:
            raise OSError(errno.EINVAL, f"a report has {REPORT_SIZE} bytes, not {len(data)}")
        try:
            message = self._assembler.feed(data)
            if message is not None:
                self._serve(message)
        except FramingRejection as rejection:
            self._send(error(rejection.channel, rejection.status))
        except TokenGone:
            raise _gone() from None

    def read_packet(self) -> bytes:
        """Read one report of 64 bytes, waiting for it.

        Raises:
            OSError: EIO, the token is gone; EBADF, closed.
            TimeoutError: none came.
            FidokitError: what the token could not go on with.
        """
        self._require_open()
        try:
            report = self._reports.get(timeout=self._silence_s)
        except Empty:
            raise TimeoutError(
                errno.ETIMEDOUT, f"the virtual token sent nothing for {self._silence_s:g} s"
            ) from None
        if isinstance(report, bytes):
            return report
        raise _gone() if isinstance(report, TokenGone) else report

    def close(self) -> None:
        """End what runs and give the channels back; harmless when repeated."""
        if not self._closed:
            self._closed = True
            self._silence_running()
            self._reports.put(_closed())
        for link in self._links.values():
            link.close()

    # --- the token's end -----------------------------------------------------------------------

    def _serve(self, message: Message) -> None:
        handler = _HANDLERS.get(message.command)
        if message.command != HidCommand.INIT:
            _require(message.channel in self._links, message, CtapStatus.INVALID_CHANNEL)
        if handler is None:
            raise FramingRejection(message.channel, CtapStatus.INVALID_COMMAND)
        handler(self, message)

    def _init(self, message: Message) -> None:
        _require(message.channel != 0, message, CtapStatus.INVALID_CHANNEL)
        _require(len(message.payload) == NONCE_SIZE, message, CtapStatus.INVALID_LENGTH)
        channel = message.channel
        if channel == BROADCAST:
            channel = next(self._channels)
            self._links[channel] = self._token.link()
        _require(channel in self._links, message, CtapStatus.INVALID_CHANNEL)
        if self._running is not None and self._running.channel == channel:
            self._silence_running()
        about = bytes([PROTOCOL_VERSION, *_VERSION, self._token.capabilities])
        body = message.payload + channel.to_bytes(4) + about
        self._send(Message(message.channel, HidCommand.INIT, body))

    def _ping(self, message: Message) -> None:
        self._require_idle(message)
        self._send(message)

    def _wink(self, message: Message) -> None:
        self._require_idle(message)
        _require(not message.payload, message, CtapStatus.INVALID_LENGTH)
        self._links[message.channel].wink()
        self._send(message)

    def _msg(self, message: Message) -> None:
        self._require_idle(message)
        served = not self._token.capabilities & _NO_MSG
        _require(served, message, CtapStatus.INVALID_COMMAND)
        _require(len(message.payload) >= _SHORTEST_APDU, message, CtapStatus.INVALID_LENGTH)
        reply = self._links[message.channel].msg(message.payload)
        self._send(Message(message.channel, HidCommand.MSG, reply))

    def _cbor(self, message: Message) -> None:
        self._require_idle(message)
        _require(bool(self._token.capabilities & _CBOR), message, CtapStatus.INVALID_COMMAND)
        _require(bool(message.payload), message, CtapStatus.INVALID_LENGTH)
        running = self._running = _Running(message.channel)
        threading.Thread(target=self._run, args=(message, running), daemon=True).start()

    def _cancel(self, message: Message) -> None:
        running = self._running
        if running is not None and running.channel == message.channel:
            running.cancelled = True

    def _run(self, message: Message, running: _Running) -> None:
        outcome: bytes | FidokitError | OSError = _gone()
        try:
            outcome = self._links[message.channel].cbor(
                message.payload,
                lambda status: self._keepalive(running, status),
                lambda: running.cancelled,
            )
        except FidokitError as failed:
            outcome = failed
        finally:
            self._finish(running, outcome)

    def _finish(self, running: _Running, outcome: bytes | FidokitError | OSError) -> None:
        with self._turn:
            if running.silenced:
                return
            self._running = None
            if isinstance(outcome, bytes):
                self._send(_reply(running.channel, outcome))
            else:
                self._reports.put(outcome)

    def _keepalive(self, running: _Running, status: int) -> None:
        with self._turn:
            if not running.silenced:
                self._send(Message(running.channel, HidCommand.KEEPALIVE, bytes([status])))

    def _silence_running(self) -> None:
        with self._turn:
            if self._running is not None:
                self._running.silenced = self._running.cancelled = True
                self._running = None

    def _send(self, message: Message) -> None:
        for report in message.reports():
            self._reports.put(report)

    def _require_idle(self, message: Message) -> None:
        _require(self._running is None, message, CtapStatus.CHANNEL_BUSY)

    def _require_open(self) -> None:
        if self._closed:
            raise _closed()


_Handler: TypeAlias = Callable[[HidConnection, Message], None]

_HANDLERS: Final[Mapping[int, _Handler]] = {
    HidCommand.INIT: HidConnection._init,
    HidCommand.PING: HidConnection._ping,
    HidCommand.WINK: HidConnection._wink,
    HidCommand.MSG: HidConnection._msg,
    HidCommand.CBOR: HidConnection._cbor,
    HidCommand.CANCEL: HidConnection._cancel,
}


def _reply(channel: int, reply: bytes) -> Message:
    # Busy with another opening's command: hosts try again only where the framing says so.
    if reply == bytes([CtapStatus.CHANNEL_BUSY]):
        return error(channel, CtapStatus.CHANNEL_BUSY)
    return Message(channel, HidCommand.CBOR, reply[:LONGEST])


def _require(holds: bool, message: Message, status: CtapStatus) -> None:
    if not holds:
        raise FramingRejection(message.channel, status)


def _gone() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def _closed() -> OSError:
    return OSError(errno.EBADF, os.strerror(errno.EBADF))
