"""A shared token, for the tests of both ends of its socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from fidokit.unix_socket import socket_path
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.socket import SocketLink, connect, hello
from fidokit.virtual.transports.socket_owner import Listener

GET_INFO = b"\x04"
SELECTION = b"\x0b"
U2F_VERSION = bytes.fromhex("00030000000000")
OK = b"\x00"
BUSY = b"\x06"
CANCELED = b"\x2d"


def ignore(_: int) -> None:
    pass


def never() -> bool:
    return False


class Desk:
    """A powered token that is shared, and what its clients take to reach it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.token = VirtualToken(presence="script")
        self.listener = Listener.open(self.token, state)

    def link(self) -> SocketLink:
        link = connect(self.state)
        assert link is not None
        return link

    def raw(self) -> socket.socket:
        """A connection, greeted."""
        channel = socket.socket(socket.AF_UNIX)
        channel.settimeout(20)
        channel.connect(str(socket_path(self.state)))
        assert channel.recv(100) == hello(0x05).encode()
        return channel

    def alone(self) -> bool:
        return self.listener.wait_for_clients(20)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "work.sqlite")
    yield desk
    desk.token.faults.clear()
    desk.token.unplug()
    desk.listener.close()
    assert desk.alone()
