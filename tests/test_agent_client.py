"""Talking to an agent, or to what is none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from fidokit.agent_client import AgentClient
from fidokit.errors import FidokitError, Malformed
from fidokit.openssh.agent_messages import FAILURE, SUCCESS, encode_identities, frame

pytestmark = pytest.mark.usefixtures("home")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "s")


@pytest.fixture
def answers(path: str) -> Iterator[list[bytes]]:
    """Bytes that a peer sends, one item for each request it hears; then it hangs up."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    script: list[bytes] = []

    def serve() -> None:
        channel, _ = listener.accept()
        with channel:
            while script:
                channel.recv(1 << 16)
                channel.sendall(script.pop(0))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield script
    thread.join(20)
    listener.close()


def test_requests_and_answers(path: str, answers: list[bytes]) -> None:
    answers += [frame(SUCCESS), frame(FAILURE), frame(encode_identities([(b"blob", "one")]))]
    with AgentClient(path) as agent:
        assert agent.accepts(b"\x13")
        assert not agent.accepts(b"\x13")
        assert agent.keys() == [(b"blob", "one")]


def test_what_is_no_list(path: str, answers: list[bytes]) -> None:
    answers.append(frame(FAILURE))
    with AgentClient(path) as agent, pytest.raises(Malformed):
        agent.keys()


@pytest.mark.parametrize("answer", [b"", bytes(4), b"HTTP/1.1 400 Bad Request"])
def test_what_is_no_agent(path: str, answers: list[bytes], answer: bytes) -> None:
    answers.append(answer)
    with AgentClient(path) as agent, pytest.raises(FidokitError):
        agent.exchange(b"\x0b")


def test_nobody_there(path: str) -> None:
    with pytest.raises(FidokitError, match="no agent answers"):
        AgentClient(path)
    with pytest.raises(FidokitError, match="SSH_AUTH_SOCK is not set"):
        AgentClient.of_environment({})
    with pytest.raises(FidokitError, match="no agent answers"):
        AgentClient.of_environment({"SSH_AUTH_SOCK": "/none\0"})
