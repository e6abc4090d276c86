"""The connection to the agent behind: made when needed, and never twice."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from fidokit.agent.socket.upstream import SocketUpstream
from fidokit.openssh.agent_messages import FAILURE, SUCCESS, frame

WAIT_S = 20.0


class Peer:
    """An agent that answers each request with the next of its answers, then hangs up."""

    def __init__(self, path: Path, answers: list[bytes]) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.heard: list[bytes] = []
        self.connections = 0
        self._answers = answers
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        channel, _ = self.socket.accept()
        self.connections += 1
        with channel:
            for answer in self._answers:
                self.heard.append(channel.recv(1 << 16))
                channel.sendall(answer)

    def close(self) -> None:
        self.thread.join(WAIT_S)
        self.socket.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


def test_requests_go_over_one_connection(path: Path) -> None:
    peer = Peer(path, [frame(SUCCESS), frame(b"\x0c\0\0\0\0")])
    upstream = SocketUpstream(str(path))
    assert upstream.exchange(b"\x13") == SUCCESS
    assert upstream.exchange(b"\x0b") == b"\x0c\0\0\0\0"
    peer.close()
    assert peer.heard == [frame(b"\x13"), frame(b"\x0b")]
    assert peer.connections == 1
    upstream.close()


def test_nobody_there(path: Path) -> None:
    assert SocketUpstream(str(path)).exchange(b"\x0b") == FAILURE


@pytest.mark.parametrize("answer", [b"", bytes(4), b"\xff" * 8, b"\0\0\0\x05\x0c"])
def test_an_answer_that_is_none(path: Path, answer: bytes) -> None:
    peer = Peer(path, [answer])
    upstream = SocketUpstream(str(path))
    assert upstream.exchange(b"\x0b") == FAILURE
    peer.close()


def test_a_broken_connection_is_not_made_anew(path: Path) -> None:
    """Its bindings are lost: that agent would take a new one for a local client."""
    peer = Peer(path, [b""])
    upstream = SocketUpstream(str(path))
    assert upstream.exchange(b"\x0b") == FAILURE
    assert upstream.exchange(b"\x0b") == FAILURE
    peer.close()
    assert peer.connections == 1


def test_hanging_up_ends_a_wait(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    upstream = SocketUpstream(str(path))
    answers: list[bytes] = []
    work = threading.Thread(target=lambda: answers.append(upstream.exchange(b"\x0b")))
    work.start()
    channel, _ = listener.accept()
    channel.recv(100)
    upstream.close()
    work.join(WAIT_S)
    assert answers == [FAILURE]
    channel.close()
    listener.close()
