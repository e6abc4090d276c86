"""What a virtual card and vsmartcard's reader vpcd say to each other over TCP.

Every message is a length of two bytes, high byte first, and so many bytes. A message of one byte
from the reader is a control; a longer one is a command APDU. The card answers APDUs, and the
control that asks for its answer to reset; nothing else.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeAlias

LENGTH_SIZE: Final = 2
LONGEST: Final = 0xFFFF


class Control(IntEnum):
    """What the reader does to the card."""

    POWER_OFF = 0
    POWER_ON = 1
    RESET = 2
    GET_ATR = 4


Said: TypeAlias = Control | bytes
"""A control or a command APDU."""


def framed(data: bytes) -> bytes:
    """A message for the reader.

    Args:
        data: answer to reset, or response APDU, of at most `LONGEST` bytes.

    Raises:
        ValueError: it is longer.
    """
    if len(data) > LONGEST:
        raise ValueError(f"{len(data)} bytes are too long for the reader")
    return len(data).to_bytes(LENGTH_SIZE) + data


def whole(data: bytes, status: int) -> bytes:
    """A response APDU as a message; one that the reader cannot carry is an error 6F00 instead.

    Args:
        data: the answer's body.
        status: its status word.
    """
    answer = data + status.to_bytes(2)
    return framed(answer if len(answer) <= LONGEST else b"\x6f\x00")


class Reader:
    """Takes the reader's bytes apart, however they are cut. Keeps less than one message."""

    def __init__(self) -> None:
        self._held = bytearray()

    def receive(self, data: bytes) -> list[Said]:
        """The messages that these bytes complete, in order.

        Controls that are not known and empty messages are passed over, as vsmartcard's own card
        does.

        Args:
            data: as they came.
        """
        self._held += data
        found: list[Said] = []
        while (message := self._next()) is not None:
            if len(message) > 1:
                found.append(message)
            elif message and message[0] in set(Control):
                found.append(Control(message[0]))
        return found

    def _next(self) -> bytes | None:
        end = LENGTH_SIZE + int.from_bytes(self._held[:LENGTH_SIZE])
        if len(self._held) < max(end, LENGTH_SIZE):
            return None
        message = bytes(self._held[LENGTH_SIZE:end])
        del self._held[:end]
        return message
