"""The agent behind this one, as one client's connection to it."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Final

from fidokit.errors import Malformed
from fidokit.openssh.agent_messages import FAILURE, FrameReader, frame

_CHUNK: Final = 65_536
_WAIT_S: Final = 300.0
"""It may ask its own person, and a token; a client that gives up ends the wait earlier."""


class SocketUpstream:
    """A connection that is made at the first request, and lasts as long as the client's.

    Args:
        path: the socket of the agent behind.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._turn = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False

    def exchange(self, payload: bytes) -> bytes:
        """Send a request and wait for the answer; FAILURE where that agent does not answer."""
        with self._turn:
            try:
                channel = self._connected()
                channel.sendall(frame(payload))
                return _answer(channel)
            except (OSError, Malformed):
                self._closed = True  # its bindings are lost: a new connection would be a local one
                self._hang_up()
                return FAILURE

    def close(self) -> None:
        """Hang up; an exchange that is under way ends with FAILURE."""
        self._closed = True
        self._hang_up()

    def _connected(self) -> socket.socket:
        if self._closed:
            raise OSError
        if self._socket is None:
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            channel.settimeout(_WAIT_S)
            self._socket = channel
            channel.connect(self._path)
        return self._socket

    def _hang_up(self) -> None:
        channel = self._socket
        if channel is not None:
            with suppress(OSError):
                channel.shutdown(socket.SHUT_RDWR)
            channel.close()


def _answer(channel: socket.socket) -> bytes:
    reader = FrameReader()
    while data := channel.recv(_CHUNK):
        reader.feed(data)
        if (answer := reader.next()) is not None:
            return answer
    raise OSError
