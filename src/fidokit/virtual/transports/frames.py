"""The frames between the owner of a powered token and other processes: bytes to values and back.

Each frame is u32 length (big-endian, of what follows), u8 kind, u32 number, body. The owner says
HELLO; then the client sends one command at a time, each with a number of its own, and gets ALIVE
and KEEPALIVE frames and at last one ANSWER or FAILURE with the same number. CANCEL names the
command that is to end. Anything else is a violation, which costs the connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from fidokit import cbor
from fidokit import errors as known
from fidokit.errors import FidokitError, Malformed

PROTOCOL: Final = 1
"""Named in HELLO; a client of another number does not go on."""

LONGEST_MESSAGE: Final = 65_544
"""Bytes of the longest CTAP message: an extended APDU. CTAPHID's are 7609 at most."""

_HEAD: Final = 4
_PREFIX: Final = 5
_LONGEST_TEXT: Final = 1000
_LONGEST_FAILURE: Final = 3 * _LONGEST_TEXT


class Kind(IntEnum):
    """What a frame is."""

    HELLO = 0x00
    """Owner: u8 protocol, u8 CTAPHID capabilities."""
    CBOR = 0x01
    """Client: a CTAP2 command."""
    MSG = 0x02
    """Client: a U2F APDU."""
    WINK = 0x03
    CANCEL = 0x04
    ALIVE = 0x10
    """Owner: the command is being worked on; asks whether it is still wanted."""
    KEEPALIVE = 0x11
    """Owner: u8 status, as CTAPHID_KEEPALIVE has it."""
    ANSWER = 0x12
    FAILURE = 0x13
    """Owner: CBOR [error class, message, hint]."""


_BODY: Final[Mapping[Kind, tuple[int, int]]] = {
    Kind.HELLO: (2, 2),
    Kind.CBOR: (0, LONGEST_MESSAGE),
    Kind.MSG: (0, LONGEST_MESSAGE),
    Kind.WINK: (0, 0),
    Kind.CANCEL: (0, 0),
    Kind.ALIVE: (0, 0),
    Kind.KEEPALIVE: (1, 1),
    Kind.ANSWER: (0, LONGEST_MESSAGE),
    Kind.FAILURE: (1, _LONGEST_FAILURE),
}

COMMANDS: Final = frozenset({Kind.CBOR, Kind.MSG, Kind.WINK})
FROM_CLIENT: Final = COMMANDS | {Kind.CANCEL}
FROM_OWNER: Final = frozenset(Kind) - FROM_CLIENT


class Frame(NamedTuple):
    """u32 length, u8 kind, u32 number, body; the kind bounds the body.

    Args:
        kind: what it is.
        number: of the command it belongs to, below 2**32; 0 for HELLO.
        body: as `Kind` says.
    """

    kind: Kind
    number: int
    body: bytes = b""

    def encode(self) -> bytes:
        """The frame's bytes."""
        length = _PREFIX + len(self.body)
        return length.to_bytes(_HEAD) + bytes([self.kind]) + self.number.to_bytes(4) + self.body


class FrameReader:
    """Cuts a stream of bytes into frames; it keeps at most one frame and what was fed last.

    Args:
        expected: the kinds that the other side may send.
    """

    def __init__(self, expected: frozenset[Kind]) -> None:
        self._expected = expected
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are complete with `data`.

        Raises:
            Malformed: a length or kind that no frame of the other side has; the stream is lost.
        """
        self._buffer += data
        while (length := self._length()) is not None and len(self._buffer) >= _HEAD + length:
            frame = bytes(self._buffer[_HEAD : _HEAD + length])
            del self._buffer[: _HEAD + length]
            yield Frame(Kind(frame[0]), int.from_bytes(frame[1:_PREFIX]), frame[_PREFIX:])

    def _length(self) -> int | None:
        """The length of the frame that begins, judged as soon as its kind is there."""
        if len(self._buffer) <= _HEAD:
            return None
        length, kind = int.from_bytes(self._buffer[:_HEAD]), self._buffer[_HEAD]
        if kind not in self._expected:
            raise Malformed(f"a frame of kind {kind:#04x} has no place here")
        shortest, longest = _BODY[Kind(kind)]
        if not shortest <= length - _PREFIX <= longest:
            raise Malformed(f"a frame of kind {kind:#04x} cannot have {length} bytes")
        return length


def hello(capabilities: int) -> Frame:
    """What the owner says first.

    Args:
        capabilities: CTAPHID's bits, 0 to 255.
    """
    return Frame(Kind.HELLO, 0, bytes([PROTOCOL, capabilities]))


def failure(number: int, error: FidokitError) -> Frame:
    """An error that ended a command at the owner, its texts cut to 1000 bytes."""
    words = [type(error).__name__, _cut(error.message), _cut(error.hint)]
    return Frame(Kind.FAILURE, number, cbor.encode(words))


def error_of(frame: Frame) -> FidokitError:
    """The error in a FAILURE frame; a plain `FidokitError` where its class is none of `PASSED_ON`.

    Raises:
        Malformed: it is no list of three texts.
    """
    words = cbor.decode(frame.body, max_depth=1)
    texts = [word for word in words if isinstance(word, str)] if isinstance(words, list) else []
    if len(texts) != 3 or cbor.encode(texts) != frame.body:
        raise Malformed("a failure is not told by three texts")
    kind, message, hint = texts
    return PASSED_ON.get(kind, FidokitError)(message, hint=hint)


PASSED_ON: Final[Mapping[str, type[FidokitError]]] = {
    kind.__name__: kind
    for kind in (
        known.NoPermission,
        known.StateUnusable,
        known.TokenBusy,
        known.TokenGone,
        known.TokenMisbehaved,
        known.TokenSilent,
        known.TouchRefused,
        known.UsageError,
    )
}
"""What a powered token may raise toward whoever talks to it."""


def _cut(text: str) -> str:
    return text.encode("utf-8", "replace")[:_LONGEST_TEXT].decode("utf-8", "ignore")
