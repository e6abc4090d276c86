"""What was said to a token, kept in a file: a line of JSON about it, then one for each message."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from fidokit.errors import MalformedFile

FORMAT: Final = 1
LONGEST: Final = 16 << 20
"""Bytes of a whole file."""
MOST: Final = 100_000
_LONGEST_MESSAGE: Final = 65_544
_MOST_NUMBER: Final = 1 << 53
KINDS: Final = ("cbor", "msg", "wink")


class RecordedExchange(NamedTuple):
    """One message to a token, and what came back.

    Args:
        at_ms: when it was sent, milliseconds from the beginning of the recording.
        channel: which opening of the token it came by, from 1.
        kind: "cbor" for CTAP2, "msg" for U2F, "wink".
        request: what was sent; bytes that are secret are zeros.
        answer: what came back, likewise; empty if nothing did.
        took_ms: how long it took.
        keepalives: milliseconds after the request, and the status of each that differs from the
            one before it.
        blanked: whether there are zeros in place of secrets.
        error: what ended it in place of an answer: the class of an error; else empty.
    """

    at_ms: int
    channel: int
    kind: str
    request: bytes
    answer: bytes
    took_ms: int
    keepalives: tuple[tuple[int, int], ...] = ()
    blanked: bool = False
    error: str = ""

    def line(self) -> bytes:
        """The line of the file that has it."""
        members: dict[str, object] = {
            "at": self.at_ms,
            "channel": self.channel,
            "kind": self.kind,
            "request": self.request.hex(),
            "answer": self.answer.hex(),
            "took": self.took_ms,
        }
        more = {
            "keepalives": self.keepalives,
            "blanked": self.blanked,
            "error": self.error,
        }
        return _line(members | {name: value for name, value in more.items() if value})


class Recording(NamedTuple):
    """A session of a token.

    Args:
        capabilities: CTAPHID's bits.
        transport: how it was reached: "usb", "pcsc", "virtual", "socket".
        product: what it calls itself; hostile text.
        exchanges: in order.
    """

    capabilities: int
    transport: str
    product: str
    exchanges: tuple[RecordedExchange, ...] = ()

    def head(self) -> bytes:
        """The first line of the file."""
        return _line(
            {
                "fidokit-record": FORMAT,
                "capabilities": self.capabilities,
                "transport": self.transport,
                "product": self.product,
            }
        )

    def encode(self) -> bytes:
        """The bytes of a file that `decode` reads back."""
        return b"".join([self.head(), *(exchange.line() for exchange in self.exchanges)])


def _line(members: Mapping[str, object]) -> bytes:
    return json.dumps(members).encode() + b"\n"


def decode(data: bytes) -> Recording:
    """The recording of a file.

    Args:
        data: at most `LONGEST` bytes. A last line that was cut is left out: whoever recorded may
            have been killed.

    Raises:
        MalformedFile: it is none, or is damaged, with the number of the line.
    """
    whole = data[: data.rfind(b"\n") + 1].splitlines()
    if len(data) > LONGEST or len(whole) > MOST:
        raise MalformedFile("the recording is too long")
    head = _members(whole[0] if whole else b"", 1)
    if head.get("fidokit-record") != FORMAT:
        raise MalformedFile(
            "this is not a recording of a token",
            hint="record one: fidokit token record FILE -- COMMAND",
        )
    read = _Members(head, 1)
    exchanges = tuple(_exchange(_members(line, n), n) for n, line in enumerate(whole[1:], 2))
    return Recording(
        read.number("capabilities", 0xFF), read.text("transport"), read.text("product"), exchanges
    )


def _members(line: bytes, number: int) -> dict[str, Any]:
    try:
        members = json.loads(line)
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise MalformedFile(f"line {number} of the recording is not a JSON object")
    return members


class _Members:
    """Reads the members of one line; absent ones are empty."""

    def __init__(self, members: Mapping[str, Any], line: int) -> None:
        self._members = members
        self._line = line

    def number(self, name: str, most: int = _MOST_NUMBER) -> int:
        value = self._members.get(name, 0)
        if type(value) is not int or not 0 <= value <= most:
            raise self.wrong(name)
        return value

    def text(self, name: str) -> str:
        value = self._members.get(name, "")
        if not isinstance(value, str) or len(value) > 1000:
            raise self.wrong(name)
        return value

    def message(self, name: str) -> bytes:
        value = self._members.get(name, "")
        try:
            message = bytes.fromhex(value) if isinstance(value, str) else None
        except ValueError:
            message = None
        if message is None or len(message) > _LONGEST_MESSAGE:
            raise self.wrong(name)
        return message

    def pairs(self, name: str) -> tuple[tuple[int, int], ...]:
        found = self._members.get(name, [])
        if not isinstance(found, list) or not all(
            isinstance(pair, list)
            and len(pair) == 2
            and all(type(n) is int and n >= 0 for n in pair)
            for pair in found
        ):
            raise self.wrong(name)
        return tuple((at, status) for at, status in found)

    def wrong(self, name: str) -> MalformedFile:
        return MalformedFile(f"line {self._line} of the recording: {name} is not valid")


def _exchange(members: Mapping[str, Any], line: int) -> RecordedExchange:
    read = _Members(members, line)
    kind = read.text("kind")
    if kind not in KINDS:
        raise read.wrong("kind")
    return RecordedExchange(
        at_ms=read.number("at"),
        channel=read.number("channel"),
        kind=kind,
        request=read.message("request"),
        answer=read.message("answer"),
        took_ms=read.number("took"),
        keepalives=read.pairs("keepalives"),
        blanked=members.get("blanked") is True,
        error=read.text("error"),
    )
