"""Command APDUs of contactless tokens: short and extended ones taken apart, long replies cut."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

SHORT_LIMIT: Final = 256
EXTENDED_LIMIT: Final = 65536
_HEADER: Final = 4
_CHAINING_BIT: Final = 0x10


class StatusWord(IntEnum):
    """ISO 7816-4's answers that tokens give."""

    OK = 0x9000
    UPDATE = 0x9100
    MORE = 0x6100
    WRONG_LENGTH = 0x6700
    NOT_ALLOWED = 0x6985
    WRONG_DATA = 0x6A80
    NOT_FOUND = 0x6A82
    WRONG_PARAMETERS = 0x6A86
    WRONG_INSTRUCTION = 0x6D00
    WRONG_CLASS = 0x6E00


class ApduRejection(Exception):
    """A command APDU that is refused.

    Args:
        status: the status word of the answer.
    """

    def __init__(self, status: StatusWord) -> None:
        super().__init__(status.name)
        self.status = status


@dataclass(frozen=True, slots=True)
class Apdu:
    """CLA, INS, P1, P2, then Lc and data or not, then Le or not. ISO 7816-4 section 5.

    Args:
        cla: class, with the chaining bit 0x10 as it came.
        ins: instruction.
        p1: first parameter.
        p2: second parameter.
        data: the body.
        limit: how many bytes the answer may have, 256 at most for a short APDU.
    """

    cla: int
    ins: int
    p1: int
    p2: int
    data: bytes = b""
    limit: int = SHORT_LIMIT

    @property
    def chained(self) -> bool:
        """Whether more links of the same command follow."""
        return bool(self.cla & _CHAINING_BIT)

    @property
    def plain_cla(self) -> int:
        """The class without its chaining bit."""
        return self.cla & ~_CHAINING_BIT


def parse(raw: bytes) -> Apdu:
    """Take a command APDU apart.

    Args:
        raw: as the reader delivers it.

    Raises:
        ApduRejection: WRONG_LENGTH, Lc does not agree with what is there (NFC-06).
    """
    if len(raw) < _HEADER:
        raise ApduRejection(StatusWord.WRONG_LENGTH)
    cla, ins, p1, p2 = raw[:_HEADER]
    data, limit = _body(raw[_HEADER:])
    return Apdu(cla, ins, p1, p2, data, limit)


def _body(body: bytes) -> tuple[bytes, int]:
    if not body:
        return b"", SHORT_LIMIT
    if body[0] == 0 and len(body) > 1:
        return _extended(body[1:])
    if len(body) == 1:
        return b"", body[0] or SHORT_LIMIT
    length, rest = body[0], body[1:]
    if len(rest) not in {length, length + 1}:
        raise ApduRejection(StatusWord.WRONG_LENGTH)
    return rest[:length], (rest[length] or SHORT_LIMIT) if len(rest) > length else SHORT_LIMIT


def _extended(body: bytes) -> tuple[bytes, int]:
    number, rest = int.from_bytes(body[:2]), body[2:]
    if len(body) == 2:
        return b"", number or EXTENDED_LIMIT
    if len(body) < 2 or len(rest) not in {number, number + 2}:
        raise ApduRejection(StatusWord.WRONG_LENGTH)
    tail = rest[number:]
    return rest[:number], (int.from_bytes(tail) or EXTENDED_LIMIT) if tail else EXTENDED_LIMIT


class Chain:
    """The data of chained APDUs, until the last link brings the whole command.

    Args:
        limit: the most bytes that are kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head: tuple[int, int, int, int] | None = None
        self._data = b""

    def add(self, apdu: Apdu) -> Apdu | None:
        """The command that this APDU completes; None while more is to come.

        Raises:
            ApduRejection: WRONG_LENGTH, more than the limit was sent.
        """
        head = (apdu.plain_cla, apdu.ins, apdu.p1, apdu.p2)
        data = (self._data if head == self._head else b"") + apdu.data
        self.drop()
        if len(data) > self._limit:
            raise ApduRejection(StatusWord.WRONG_LENGTH)
        if not apdu.chained:
            return Apdu(*head, data=data, limit=apdu.limit)
        self._head, self._data = head, data
        return None

    def drop(self) -> None:
        """Forget an unfinished chain."""
        self._head, self._data = None, b""


class Remainder:
    """A reply that is fetched piece by piece with GET RESPONSE."""

    def __init__(self) -> None:
        self._data = b""
        self._status = int(StatusWord.OK)

    def begin(self, data: bytes, status: int, limit: int) -> tuple[bytes, int]:
        """Cut a fresh reply to what the command allows; returns the piece and its status word."""
        self._data, self._status = data, status
        return self.go_on(limit)

    def go_on(self, limit: int) -> tuple[bytes, int]:
        """The next piece, of at most `limit` bytes, and its status word: 61xx while more waits."""
        piece, self._data = self._data[:limit], self._data[limit:]
        if self._data:
            return piece, StatusWord.MORE | min(len(self._data), 0xFF)
        return piece, self._status

    def drop(self) -> None:
        """Forget what was not fetched."""
        self._data, self._status = b"", int(StatusWord.NOT_ALLOWED)
