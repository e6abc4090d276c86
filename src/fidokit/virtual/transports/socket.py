"""A link to a virtual token that another process powers, over that process's socket; and the frames
between the two, bytes to values and back.

Each frame is u32 length (big-endian, of what follows), u8 kind, u32 number, body. The owner says
HELLO; then the client sends one command at a time, each with a number of its own, and gets ALIVE
and KEEPALIVE frames and at last one ANSWER or FAILURE with the same number. CANCEL names the
command that is to end. Anything else is a violation, which costs the connection.
"""

from __future__ import annotations

import itertools
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import IntEnum
from pathlib import Path
from typing import Final, NamedTuple

from fidokit import cbor
from fidokit import errors as known
from fidokit.errors import FidokitError, Malformed, TokenGone, TokenMisbehaved
from fidokit.unix_socket import address, require_own_user, socket_path

PROTOCOL: Final = 1
"""Named in HELLO; a client of another number does not go on."""

LONGEST_MESSAGE: Final = 65_544
"""Bytes of the longest CTAP message: an extended APDU. CTAPHID's are 7609 at most."""

_HEAD: Final = 4
_PREFIX: Final = 5
_LONGEST_TEXT: Final = 1000
_LONGEST_FAILURE: Final = 3 * _LONGEST_TEXT


class FrameKind(IntEnum):
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
    """Owner: status byte and CBOR, or data and status word; behind CHANNEL_BUSY alone, who uses the
    token, as UTF-8."""
    FAILURE = 0x13
    """Owner: CBOR [error class, message, hint]."""


_BODY: Final[Mapping[FrameKind, tuple[int, int]]] = {
    FrameKind.HELLO: (2, 2),
    FrameKind.CBOR: (0, LONGEST_MESSAGE),
    FrameKind.MSG: (0, LONGEST_MESSAGE),
    FrameKind.WINK: (0, 0),
    FrameKind.CANCEL: (0, 0),
    FrameKind.ALIVE: (0, 0),
    FrameKind.KEEPALIVE: (1, 1),
    FrameKind.ANSWER: (0, LONGEST_MESSAGE),
    FrameKind.FAILURE: (1, _LONGEST_FAILURE),
}

COMMANDS: Final = frozenset({FrameKind.CBOR, FrameKind.MSG, FrameKind.WINK})
FROM_CLIENT: Final = COMMANDS | {FrameKind.CANCEL}
FROM_OWNER: Final = frozenset(FrameKind) - FROM_CLIENT


class Frame(NamedTuple):
    """u32 length, u8 kind, u32 number, body; the kind bounds the body.

    Args:
        kind: what it is.
        number: of the command it belongs to, below 2**32; 0 for HELLO.
        body: as `Kind` says.
    """

    kind: FrameKind
    number: int
    body: bytes = b""

    def encode(self) -> bytes:
        """The bytes that go over the socket."""
        length = _PREFIX + len(self.body)
        return length.to_bytes(_HEAD) + bytes([self.kind]) + self.number.to_bytes(4) + self.body


class SocketFrameReader:
    """Cuts a stream of bytes into frames; it keeps at most one frame and what was fed last.

    Args:
        expected: the kinds that the other side may send.
    """

    def __init__(self, expected: frozenset[FrameKind]) -> None:
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
            yield Frame(FrameKind(frame[0]), int.from_bytes(frame[1:_PREFIX]), frame[_PREFIX:])

    def _length(self) -> int | None:
        """The length of the frame that begins, judged as soon as its kind is there."""
        if len(self._buffer) <= _HEAD:
            return None
        length, kind = int.from_bytes(self._buffer[:_HEAD]), self._buffer[_HEAD]
        if kind not in self._expected:
            raise Malformed(f"a frame of kind {kind:#04x} has no place here")
        shortest, longest = _BODY[FrameKind(kind)]
        if not shortest <= length - _PREFIX <= longest:
            raise Malformed(f"a frame of kind {kind:#04x} cannot have {length} bytes")
        return length


def hello(capabilities: int) -> Frame:
    """What the owner says first.

    Args:
        capabilities: CTAPHID's bits, 0 to 255.
    """
    return Frame(FrameKind.HELLO, 0, bytes([PROTOCOL, capabilities]))


def failure(number: int, error: FidokitError) -> Frame:
    """An error that ended a command at the owner, its texts cut to 1000 bytes."""
    words = [type(error).__name__, _cut(error.message), _cut(error.hint)]
    return Frame(FrameKind.FAILURE, number, cbor.encode(words))


def error_of(frame: Frame) -> FidokitError:
    """The error in a FAILURE frame; a plain `FidokitError` where its class is none of `PASSED_ON`.

    Raises:
        Malformed: it is not a list of three texts.
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


_BUSY: Final = b"\x06"
"""CTAP2_ERR_CHANNEL_BUSY: the token works for another link."""

_HELLO_WAIT_S: Final = 2.0
_CHUNK: Final = 65_536


def connect(state: Path) -> SocketLink | None:
    """A link to the token in `state`, which another process has plugged in.

    Returns:
        None if nobody listens, or who does hangs up or speaks another protocol.

    Raises:
        NoPermission: another user's process listens.
        Unsupported: the path is too long for this system.
    """
    return connect_at(socket_path(state))


def connect_at(path: Path) -> SocketLink | None:
    """A link to the token that listens at a path; see `connect`."""
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        channel.settimeout(_HELLO_WAIT_S)
        with address(path) as where:
            channel.connect(where)
        require_own_user(channel)
        link = SocketLink(channel)
        channel.settimeout(None)
    except (OSError, TokenMisbehaved, TokenGone):
        channel.close()
        return None
    except BaseException:
        channel.close()
        raise
    return link


class SocketLink:
    """One open channel to a virtual token, in the shape of a transport's link.

    Args:
        channel: connected to the owner, who says HELLO now.

    Attributes:
        holder: who used the token when the owner last said that it is busy; None for nobody known.

    Raises:
        TokenGone: the owner hung up.
        TokenMisbehaved: it does not say HELLO, or one of another protocol.
        TokenBusy: it has too many clients.
        TimeoutError: it says nothing in time.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._reader = SocketFrameReader(FROM_OWNER)
        self._frames: deque[Frame] = deque()
        self._numbers = itertools.count(1)
        self.holder: str | None = None
        greeting = self._next()
        if greeting.kind is FrameKind.FAILURE:
            raise _error(greeting)
        if greeting.kind is not FrameKind.HELLO or greeting.body[0] != PROTOCOL:
            raise _rubbish("it greets in another protocol")
        self.capabilities = greeting.body[1]

    def cbor(
        self,
        request: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        """Send a CTAP2 command and wait for its end; arguments and result as `MemoryLink.cbor`.

        `canceled` is asked when the owner shows that it lives, so that an owner that hangs is
        as silent as a token that does.

        Raises:
            TokenGone: the token was unplugged, its owner ended, or this link was closed.
            StateUnusable: the owner cannot use the token's file.
        """
        reply = self._exchange(FrameKind.CBOR, request, on_keepalive, canceled)
        if reply[:1] != _BUSY:
            return reply
        self.holder = _cut(reply[1:].decode("utf-8", "replace")) or None
        return _BUSY

    def msg(self, apdu: bytes) -> bytes:
        """Send a U2F raw message; as `MemoryLink.msg`.

        Raises:
            TokenGone, StateUnusable: as `cbor`.
        """
        return self._exchange(FrameKind.MSG, apdu, lambda _status: None, lambda: False)

    def wink(self) -> None:
        """Make the token show itself.

        Raises:
            TokenGone: as `cbor`.
        """
        self._exchange(FrameKind.WINK, b"", lambda _status: None, lambda: False)

    def close(self) -> None:
        """Hang up, which ends a command that is going on; harmless when repeated."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        self._channel.close()

    def _exchange(
        self,
        kind: FrameKind,
        body: bytes,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        number = next(self._numbers) % 2**32
        told = False
        self._send(Frame(kind, number, body))
        while True:
            frame = self._next()
            if frame.number != number:
                continue  # of a command that this side gave up
            if frame.kind is FrameKind.ANSWER:
                return frame.body
            if frame.kind is FrameKind.FAILURE:
                raise _error(frame)
            if frame.kind is FrameKind.KEEPALIVE:
                on_keepalive(frame.body[0])
            if not told and canceled():
                self._send(Frame(FrameKind.CANCEL, number))
                told = True

    def _send(self, frame: Frame) -> None:
        try:
            self._channel.sendall(frame.encode())
        except OSError as error:
            raise _gone() from error

    def _next(self) -> Frame:
        while not self._frames:
            try:
                data = self._channel.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError as error:
                raise _gone() from error
            if not data:
                raise _gone()
            self._read(data)
        return self._frames.popleft()

    def _read(self, data: bytes) -> None:
        try:
            self._frames.extend(self._reader.feed(data))
        except Malformed as error:
            raise _rubbish(error.message) from error


def _error(frame: Frame) -> FidokitError:
    try:
        return error_of(frame)
    except Malformed as error:
        return _rubbish(error.message)


def _rubbish(why: str) -> TokenMisbehaved:
    return TokenMisbehaved(
        f"the process that powers the virtual token sent an invalid message: {why}",
        hint="end it; use the same version of fidokit for both",
    )


def _gone() -> TokenGone:
    return TokenGone(
        "the process that powered the virtual token is gone",
        hint="repeat the command; `fidokit virtual serve NAME` keeps a token powered",
    )
