"""A link to a virtual token that another process powers, over that process's socket."""

from __future__ import annotations

import itertools
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, Malformed, TokenGone, TokenMisbehaved
from fidokit.unix_socket import address, require_own_user, socket_path
from fidokit.virtual.transports.frames import (
    FROM_OWNER,
    PROTOCOL,
    Frame,
    FrameReader,
    Kind,
    error_of,
)

_HELLO_WAIT_S: Final = 2.0
_CHUNK: Final = 65_536


def connect(state: Path) -> SocketLink | None:
    """A link to the token in `state`, which another process has plugged in.

    Returns:
        None where nobody listens, or who does hangs up or speaks another protocol.

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

    Raises:
        TokenGone: the owner hung up.
        TokenMisbehaved: it does not say HELLO, or one of another protocol.
        TokenBusy: it has too many clients.
        TimeoutError: it says nothing in time.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._reader = FrameReader(FROM_OWNER)
        self._frames: deque[Frame] = deque()
        self._numbers = itertools.count(1)
        greeting = self._next()
        if greeting.kind is Kind.FAILURE:
            raise _error(greeting)
        if greeting.kind is not Kind.HELLO or greeting.body[0] != PROTOCOL:
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
        return self._exchange(Kind.CBOR, request, on_keepalive, canceled)

    def msg(self, apdu: bytes) -> bytes:
        """Send a U2F raw message; as `MemoryLink.msg`.

        Raises:
            TokenGone, StateUnusable: as `cbor`.
        """
        return self._exchange(Kind.MSG, apdu, lambda _status: None, lambda: False)

    def wink(self) -> None:
        """Make the token show itself.

        Raises:
            TokenGone: as `cbor`.
        """
        self._exchange(Kind.WINK, b"", lambda _status: None, lambda: False)

    def close(self) -> None:
        """Hang up, which ends a command that is going on; harmless when repeated."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads
        self._channel.close()

    def _exchange(
        self,
        kind: Kind,
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
            if frame.kind is Kind.ANSWER:
                return frame.body
            if frame.kind is Kind.FAILURE:
                raise _error(frame)
            if frame.kind is Kind.KEEPALIVE:
                on_keepalive(frame.body[0])
            if not told and canceled():
                self._send(Frame(Kind.CANCEL, number))
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
        f"the process that powers the virtual token talks rubbish: {why}",
        hint="end it; use the same version of fidokit for both",
    )


def _gone() -> TokenGone:
    return TokenGone(
        "the process that powered the virtual token is gone",
        hint="repeat the command; `fidokit virtual serve NAME` keeps a token powered",
    )
