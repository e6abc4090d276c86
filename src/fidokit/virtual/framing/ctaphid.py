"""CTAPHID's frames: reports in, whole messages out, and the reverse.

What a token makes of them is in `ctaphid_device`, which keeps the time that a message may take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from fidokit.types import CtapStatus

REPORT_SIZE: Final = 64
BROADCAST: Final = 0xFFFFFFFF
NONCE_SIZE: Final = 8
PROTOCOL_VERSION: Final = 2

FIRST_BIT: Final = 0x80
"""Set in the byte after the channel where a report begins a message."""

_FIRST_ROOM: Final = REPORT_SIZE - 7
_NEXT_ROOM: Final = REPORT_SIZE - 5
MAX_MESSAGE: Final = _FIRST_ROOM + 128 * _NEXT_ROOM
"""7609 bytes: sequence numbers end at 127."""
LONGEST: Final = 0xFFFF
"""What the length field can say; only a token that is broken on purpose says more than 7609."""


class HidCommand(IntEnum):
    """Command bytes without their top bit (CTAP 2.3 section 11.2.9)."""

    PING = 0x01
    MSG = 0x03
    LOCK = 0x04
    INIT = 0x06
    WINK = 0x08
    CBOR = 0x10
    CANCEL = 0x11
    KEEPALIVE = 0x3B
    ERROR = 0x3F


@dataclass(frozen=True, slots=True)
class Message:
    """u32 channel, u8 command (top bit set), u16 length, payload. CTAP 2.3 section 11.2.4.

    Args:
        channel: the requester's channel id.
        command: a number of `HidCommand`, or an unknown one below 0x80.
        payload: at most 7609 bytes; a token that is to test its host may send 65535, whose
            sequence numbers begin again at 0.
    """

    channel: int
    command: int
    payload: bytes = b""

    def reports(self) -> Iterator[bytes]:
        """The message as reports of 64 bytes, the last one padded with zeros."""
        channel, body = self.channel.to_bytes(4), self.payload
        head = bytes([FIRST_BIT | self.command]) + len(body).to_bytes(2)
        yield _padded(channel + head + body[:_FIRST_ROOM])
        for number, at in enumerate(range(_FIRST_ROOM, len(body), _NEXT_ROOM)):
            yield _padded(channel + bytes([number % FIRST_BIT]) + body[at : at + _NEXT_ROOM])


def error(channel: int, status: CtapStatus) -> Message:
    """The ERROR message that answers a channel."""
    return Message(channel, HidCommand.ERROR, bytes([status]))


def _padded(report: bytes) -> bytes:
    return report.ljust(REPORT_SIZE, b"\0")


class FramingRejection(Exception):
    """A report that cannot be accepted.

    Args:
        channel: who is to be told.
        status: the byte of the ERROR message.
    """

    def __init__(self, channel: int, status: CtapStatus) -> None:
        super().__init__(f"channel {channel:08x}: {status.name}")
        self.channel = channel
        self.status = status


@dataclass(slots=True)
class _Partial:
    message: Message
    length: int
    data: bytes
    sequence: int = 0


class Assembler:
    """Puts a token's incoming reports together; one message at a time, whoever sends it."""

    def __init__(self) -> None:
        self._partial: _Partial | None = None

    @property
    def channel(self) -> int | None:
        """Whose message is half received; None between messages."""
        return self._partial.message.channel if self._partial else None

    def forget(self) -> None:
        """Drop what is half received."""
        self._partial = None

    def feed(self, report: bytes) -> Message | None:
        """Take one report.

        Args:
            report: 64 bytes.

        Returns:
            The message that it completes, None if more is to come or its sender has none open.
            (The rest of a message that was refused is not refused again: its sender would take
            that for the answer to what it sends next.)

        Raises:
            FramingRejection: its sender is to be told so (HID-08, HID-10, HID-11, HID-13).
        """
        channel, head = int.from_bytes(report[:4]), report[4]
        if head & FIRST_BIT:
            self._begin(channel, head & ~FIRST_BIT, report)
        elif self._partial is None or self._partial.message.channel != channel:
            return None
        else:
            self._go_on(self._partial, channel, head, report)
        return self._finished()

    def _begin(self, channel: int, command: int, report: bytes) -> None:
        self._make_room(channel, command)
        length = int.from_bytes(report[5:7])
        if length > MAX_MESSAGE:
            raise FramingRejection(channel, CtapStatus.INVALID_LENGTH)
        self._partial = _Partial(Message(channel, command), length, report[7:])

    def _make_room(self, channel: int, command: int) -> None:
        if self._partial is None:
            return
        if self._partial.message.channel != channel:
            raise FramingRejection(channel, CtapStatus.CHANNEL_BUSY)
        self._partial = None
        if command != HidCommand.INIT:
            raise FramingRejection(channel, CtapStatus.INVALID_SEQ)

    def _go_on(self, partial: _Partial, channel: int, sequence: int, report: bytes) -> None:
        if partial.sequence != sequence:
            self._partial = None
            raise FramingRejection(channel, CtapStatus.INVALID_SEQ)
        partial.data += report[5:]
        partial.sequence += 1

    def _finished(self) -> Message | None:
        partial = self._partial
        if partial is None or len(partial.data) < partial.length:
            return None
        self._partial = None
        message = partial.message
        return Message(message.channel, message.command, partial.data[: partial.length])
