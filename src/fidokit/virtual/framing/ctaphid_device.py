"""A token's end of CTAPHID: reports and time in, messages and commands out, nothing else.

Every transport that carries reports is a loop around this machine: it hands in what it receives,
does what it is told (the actions below), and calls `tick` when `deadline` has come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from fidokit.types import CtapStatus
from fidokit.virtual.core.profile import TEXTBOOK_MANNERS, HidManners, InitWhenBusy
from fidokit.virtual.framing.ctaphid import (
    BROADCAST,
    FIRST_BIT,
    LONGEST,
    NONCE_SIZE,
    PROTOCOL_VERSION,
    Assembler,
    FramingRejection,
    HidCommand,
    Message,
    error,
)

MESSAGE_MS: Final = 500
"""How long a half received message waits for its next report (CTAP 2.3 section 11.2.5.2)."""
KEEPALIVE_MS: Final = 100
"""The longest silence of a token that works on CBOR (CTAP 2.3 section 11.2.9.1.7)."""
LONGEST_LOCK_S: Final = 10

PROCESSING: Final = 1

CAP_WINK: Final = 0x01
CAP_CBOR: Final = 0x04
CAP_NO_MSG: Final = 0x08

_SHORTEST_APDU: Final = 4
_DEVICE_VERSION: Final = bytes((1, 0, 0))
_LAST_CHANNEL: Final = BROADCAST - 1
_MOST_CLAIMED: Final = 64


@dataclass(frozen=True, slots=True)
class RunCommand:
    """The token is to work on this, and to hand the answer to `HidDevice.finish`.

    Args:
        ticket: names the work.
        channel: who asked; always one that was given out.
        command: MSG, CBOR or WINK.
        payload: an APDU, a CTAP2 request, or nothing.
    """

    ticket: int
    channel: int
    command: HidCommand
    payload: bytes


@dataclass(frozen=True, slots=True)
class Cancel:
    """The work of this ticket is to end soon: it was canceled, or nobody wants its answer now."""

    ticket: int


Action: TypeAlias = Message | RunCommand | Cancel
"""A message is to be sent, all of its reports before the next one's."""


@dataclass(slots=True)
class _Running:
    ticket: int
    channel: int
    command: int
    status: int = PROCESSING
    told: bool = False
    due_ms: int = 0
    canceled: bool = False


class HidDevice:
    """The machine. All times are milliseconds of one clock that never goes back.

    Channels are numbered; one that was given out stays valid as long as the device, so their number
    has no limit and takes no memory. After 2**32 - 2 of them numbers are given out again.

    Args:
        capabilities: WINK 01, CBOR 04, NMSG 08.
        last_channel: the number below the first channel to be given out.
        manners: where tokens disagree.
    """

    def __init__(
        self, capabilities: int, *, last_channel: int = 0, manners: HidManners = TEXTBOOK_MANNERS
    ) -> None:
        self._capabilities = capabilities
        self._manners = manners
        self._assembler = Assembler()
        self._heard_ms = 0
        self._newest = last_channel
        self._highest = last_channel
        self._claimed: dict[int, None] = {}
        self._tickets = 0
        self._running: _Running | None = None
        self._locked_by: int | None = None
        self._locked_until_ms = 0
        self._actions: list[Action] = []

    # --- what the transport calls ----------------------------------------------------------------

    @property
    def deadline_ms(self) -> int | None:
        """When `tick` has something to say next; None while it has not."""
        times = []
        if self._assembler.channel is not None:
            times.append(self._heard_ms + MESSAGE_MS)
        if self._running is not None and self._running.command == HidCommand.CBOR:
            times.append(self._running.due_ms)
        return min(times, default=None)

    def wants(self, ticket: int) -> bool:
        """Whether the host still waits for the answer to this command."""
        return self._current(ticket) is not None

    def receive(self, report: bytes, now_ms: int) -> list[Action]:
        """Take a report of 64 bytes from the host."""
        self._pass_time(now_ms)
        try:
            self._take(report, now_ms)
        except FramingRejection as rejection:
            self._actions.append(error(rejection.channel, rejection.status))
        return self._taken()

    def tick(self, now_ms: int) -> list[Action]:
        """Let time pass: half messages are given up, work that goes on is reported."""
        self._pass_time(now_ms)
        return self._taken()

    def working(self, ticket: int, status: int, now_ms: int) -> list[Action]:
        """Say what a CBOR command waits for; the host hears of a change at once.

        Args:
            ticket: of the command; one that is over is ignored.
            status: 1 processing, 2 user presence needed.
            now_ms: the time.
        """
        running = self._current(ticket)
        changed = running and (running.status != status or not running.told)
        if running and changed and running.command == HidCommand.CBOR:
            running.status = status
            self._keep_alive(running, now_ms)
        return self._taken()

    def finish(self, ticket: int, reply: bytes) -> list[Action]:
        """Hand in the answer to a command.

        Args:
            ticket: of the command; the answer to one that is over is dropped.
            reply: data and status word, status byte and CBOR, or nothing for WINK. More than 7609
                bytes are sent only by a token that is to test its host.
        """
        running = self._close(ticket)
        if running is None:
            return []
        if running.command == HidCommand.CBOR and self._is_error(reply):
            return [Message(running.channel, HidCommand.ERROR, reply)]
        return [Message(running.channel, running.command, reply[:LONGEST])]

    def _is_error(self, reply: bytes) -> bool:
        """Busy with another transport's command: hosts try again only where the framing says so."""
        if reply == bytes([CtapStatus.CHANNEL_BUSY]):
            return True
        return self._manners.errors_carry_statuses and len(reply) == 1 and reply != b"\0"

    def fail(self, ticket: int, status: CtapStatus | None) -> list[Action]:
        """End a command without an answer: with an ERROR message, or with silence (None)."""
        running = self._close(ticket)
        return [error(running.channel, status)] if running and status is not None else []

    def reset(self) -> list[Action]:
        """Forget what is half received, what runs and who holds the lock; channels stay valid."""
        self._assembler.forget()
        self._locked_by = None
        self._abort()
        return self._taken()

    # --- reports ---------------------------------------------------------------------------------

    def _take(self, report: bytes, now_ms: int) -> None:
        if report[4] & FIRST_BIT:
            channel, command = int.from_bytes(report[:4]), report[4] & ~FIRST_BIT
            if command == HidCommand.CANCEL:
                self._cancel(channel)  # never answered, wherever it comes (section 11.2.9.1.5)
                return
            if self._takes_init_now(channel, command, now_ms):
                self._init_in_between(report)
                return
            self._require_known(channel, command, now_ms)
            self._require_turn(channel, command, now_ms)
        message = self._assembler.feed(report)
        if self._assembler.channel == int.from_bytes(report[:4]):
            self._heard_ms = now_ms
        if message is not None:
            self._serve(message, now_ms)

    def _is_known(self, channel: int) -> bool:
        return 0 < channel <= self._highest or channel in self._claimed

    def _require_known(self, channel: int, command: int, now_ms: int) -> None:
        known = self._is_known(channel) or (channel == BROADCAST and command == HidCommand.INIT)
        if known:
            return
        if self._manners.busy_before_unknown and channel and self._is_taken(channel, now_ms):
            raise FramingRejection(channel, CtapStatus.CHANNEL_BUSY)
        if not (self._manners.init_on_unknown and channel and command == HidCommand.INIT):
            raise FramingRejection(channel, CtapStatus.INVALID_CHANNEL)

    def _is_taken(self, channel: int, now_ms: int) -> bool:
        """Whether another channel is being served, is half received, or holds the lock."""
        running, half = self._running, self._assembler.channel
        locked = self._locked_by not in {None, channel} and now_ms < self._locked_until_ms
        working = running is not None and running.channel != channel
        return locked or working or half not in {None, channel}

    def _takes_init_now(self, channel: int, command: int, now_ms: int) -> bool:
        """Whether this is an INIT that the model does not refuse while another channel is busy."""
        if command != HidCommand.INIT:
            return False
        odd = self._manners.init_when_busy is not InitWhenBusy.REFUSED
        return odd and self._is_taken(channel, now_ms)

    def _init_in_between(self, report: bytes) -> None:
        if self._manners.init_when_busy is InitWhenBusy.UNHEARD:
            return
        channel, length = int.from_bytes(report[:4]), int.from_bytes(report[5:7])
        self._init(Message(channel, HidCommand.INIT, report[7 : 7 + length]), 0)

    def _require_turn(self, channel: int, command: int, now_ms: int) -> None:
        running = self._running
        locked = self._locked_by not in {None, channel} and now_ms < self._locked_until_ms
        # Its own channel may always start over; anybody else waits for the end.
        busy = running and (running.channel != channel or command != HidCommand.INIT)
        if locked or busy:
            raise FramingRejection(channel, CtapStatus.CHANNEL_BUSY)

    def _cancel(self, channel: int) -> None:
        running = self._running
        if running is None or running.channel != channel or running.canceled:
            return
        if running.command == HidCommand.CBOR:
            running.canceled = True
            self._actions.append(Cancel(running.ticket))

    # --- messages --------------------------------------------------------------------------------

    def _serve(self, message: Message, now_ms: int) -> None:
        handler = _HANDLERS.get(message.command)
        if handler is None:
            raise FramingRejection(message.channel, CtapStatus.INVALID_COMMAND)
        handler(self, message, now_ms)

    def _init(self, message: Message, _now_ms: int) -> None:
        _require(len(message.payload) == NONCE_SIZE, message, CtapStatus.INVALID_LENGTH)
        channel = message.channel
        if channel == BROADCAST:
            channel = self._unclaimed()
            self._highest = max(self._highest, channel)
        elif not self._is_known(channel):
            self._claim(channel)
        elif self._running is not None and self._running.channel == channel:
            self._abort()
        about = bytes([PROTOCOL_VERSION, *_DEVICE_VERSION, self._capabilities])
        body = message.payload + channel.to_bytes(4) + about
        self._actions.append(Message(message.channel, HidCommand.INIT, body))

    def _unclaimed(self) -> int:
        """The next number, without those that hosts invented: two hosts never share one."""
        while True:
            self._newest = 1 if self._newest >= _LAST_CHANNEL else self._newest + 1
            if self._newest not in self._claimed:
                return self._newest

    def _claim(self, channel: int) -> None:
        """Take a number that the host invented; the oldest of too many is forgotten."""
        self._claimed[channel] = None
        if len(self._claimed) > _MOST_CLAIMED:
            del self._claimed[next(iter(self._claimed))]

    def _ping(self, message: Message, _now_ms: int) -> None:
        self._actions.append(message)

    def _lock(self, message: Message, now_ms: int) -> None:
        _require(len(message.payload) == 1, message, CtapStatus.INVALID_LENGTH)
        seconds = message.payload[0]
        _require(seconds <= LONGEST_LOCK_S, message, CtapStatus.INVALID_PARAMETER)
        self._locked_by = message.channel if seconds else None
        self._locked_until_ms = now_ms + 1000 * seconds
        self._actions.append(Message(message.channel, HidCommand.LOCK))

    def _wink(self, message: Message, now_ms: int) -> None:
        able = bool(self._capabilities & CAP_WINK)
        _require(able, message, CtapStatus.INVALID_COMMAND)
        _require(not message.payload, message, CtapStatus.INVALID_LENGTH)
        self._begin(message, HidCommand.WINK, now_ms)

    def _msg(self, message: Message, now_ms: int) -> None:
        able = not self._capabilities & CAP_NO_MSG
        _require(able, message, CtapStatus.INVALID_COMMAND)
        _require(len(message.payload) >= _SHORTEST_APDU, message, CtapStatus.INVALID_LENGTH)
        self._begin(message, HidCommand.MSG, now_ms)

    def _cbor(self, message: Message, now_ms: int) -> None:
        able = bool(self._capabilities & CAP_CBOR)
        _require(able, message, CtapStatus.INVALID_COMMAND)
        _require(bool(message.payload), message, CtapStatus.INVALID_LENGTH)
        self._begin(message, HidCommand.CBOR, now_ms)

    # --- work ------------------------------------------------------------------------------------

    def _begin(self, message: Message, command: HidCommand, now_ms: int) -> None:
        self._tickets += 1
        self._running = _Running(
            self._tickets, message.channel, command, due_ms=now_ms + KEEPALIVE_MS
        )
        self._actions.append(RunCommand(self._tickets, message.channel, command, message.payload))

    def _current(self, ticket: int) -> _Running | None:
        running = self._running
        return running if running is not None and running.ticket == ticket else None

    def _close(self, ticket: int) -> _Running | None:
        running = self._current(ticket)
        if running is not None:
            self._running = None
        return running

    def _abort(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            self._actions.append(Cancel(running.ticket))

    # --- time ------------------------------------------------------------------------------------

    def _pass_time(self, now_ms: int) -> None:
        half = self._assembler.channel
        if half is not None and now_ms >= self._heard_ms + MESSAGE_MS:
            self._assembler.forget()
            self._actions.append(error(half, CtapStatus.TIMEOUT))
        running = self._running
        if running is None or running.command != HidCommand.CBOR:
            return
        if now_ms >= running.due_ms:
            self._keep_alive(running, now_ms)

    def _keep_alive(self, running: _Running, now_ms: int) -> None:
        running.told, running.due_ms = True, now_ms + KEEPALIVE_MS
        said = Message(running.channel, HidCommand.KEEPALIVE, bytes([running.status]))
        self._actions.append(said)

    def _taken(self) -> list[Action]:
        actions, self._actions = self._actions, []
        return actions


_Handler: TypeAlias = Callable[[HidDevice, Message, int], None]

_HANDLERS: Final[Mapping[int, _Handler]] = {
    HidCommand.INIT: HidDevice._init,
    HidCommand.PING: HidDevice._ping,
    HidCommand.LOCK: HidDevice._lock,
    HidCommand.WINK: HidDevice._wink,
    HidCommand.MSG: HidDevice._msg,
    HidCommand.CBOR: HidDevice._cbor,
}


def _require(holds: bool, message: Message, status: CtapStatus) -> None:
    if not holds:
        raise FramingRejection(message.channel, status)
