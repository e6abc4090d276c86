"""Command APDUs of contactless tokens: short and extended ones taken apart, long replies cut."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

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
    LAST_LINK_EXPECTED = 0x6883
    CHAINING_UNSUPPORTED = 0x6884
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


_Links: TypeAlias = tuple[int, int, int]
"""Class, instruction and P2 of a chain. Clients in use set P1 in the last link alone."""


class Chain:
    """The data of chained APDUs, until the last link brings the whole command.

    A chain that anything else comes into is broken (ISO 7816-4 section 5.3.3): what came is
    refused, and so is the rest of the chain, up to its last link, because a fragment must never be
    taken for a command.

    Args:
        limit: the most bytes that are kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._links: _Links | None = None
        self._broken: _Links | None = None
        self._data = b""

    def admit(self, apdu: Apdu) -> None:
        """Judge an APDU of any kind before it is served.

        Raises:
            ApduRejection: LAST_LINK_EXPECTED, it does not belong to the chain that is going on;
                NOT_ALLOWED, it is a link of one that was broken.
        """
        links = _links_of(apdu)
        if self._broken == links:
            if not apdu.chained:
                self._broken = None
            raise ApduRejection(StatusWord.NOT_ALLOWED)
        if self._links is not None and self._links != links:
            self.break_off()
            raise ApduRejection(StatusWord.LAST_LINK_EXPECTED)

    def add(self, apdu: Apdu) -> Apdu | None:
        """The command that this APDU completes; None while more is to come.

        Args:
            apdu: one that was admitted.

        Raises:
            ApduRejection: WRONG_LENGTH, more than the limit was sent.
        """
        data = self._data + apdu.data
        if len(data) > self._limit:
            self._links = _links_of(apdu) if apdu.chained else None
            self.break_off()
            raise ApduRejection(StatusWord.WRONG_LENGTH)
        if not apdu.chained:
            self.drop()
            return Apdu(*_head_of(apdu), data=data, limit=apdu.limit)
        self._links, self._data = _links_of(apdu), data
        return None

    def break_off(self, raw: bytes = b"") -> None:
        """Refuse the rest of the chain that is going on, if one is.

        Args:
            raw: the APDU that was refused; if it is itself a link, the rest of its chain is, too.
        """
        if self._links is not None:
            self._broken = self._links
        elif len(raw) >= _HEADER and raw[0] & _CHAINING_BIT:
            self._broken = (raw[0] & ~_CHAINING_BIT, raw[1], raw[3])
        self._links, self._data = None, b""

    def drop(self) -> None:
        """Forget all, as a new selection does."""
        self._links = self._broken = None
        self._data = b""


def _links_of(apdu: Apdu) -> _Links:
    return apdu.plain_cla, apdu.ins, apdu.p2


def _head_of(apdu: Apdu) -> tuple[int, int, int, int]:
    return apdu.plain_cla, apdu.ins, apdu.p1, apdu.p2


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
