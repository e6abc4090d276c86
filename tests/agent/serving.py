"""An agent with a scripted world behind the loop, and clients of it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.agent.core.world import World

from fidokit.agent.core.agent import Agent
from fidokit.agent.core.ports import Purpose
from fidokit.agent.loop import AgentServer
from fidokit.errors import Interrupted
from fidokit.openssh import wire
from fidokit.openssh.agent_messages import FrameReader, frame
from fidokit.openssh.keys.private import SkPrivate

WAIT_S = 20.0


class Client:
    """A client's end."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(str(path))
        self._reader = FrameReader()

    def send(self, payload: bytes) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(frame(payload))

    def answer(self) -> bytes | None:
        """The next answer; None where the agent hung up."""
        while (payload := self._reader.next()) is None:
            try:
                data = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._reader.feed(data)
        return payload

    def ask(self, payload: bytes) -> bytes | None:
        self.send(payload)
        return self.answer()

    def close(self) -> None:
        self.socket.close()


@dataclass
class Waiting:
    """Tokens that wait until a test lets them go on, or the client hangs up."""

    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    canceled: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Event = field(default_factory=threading.Event)

    def sign(
        self, private: SkPrivate, message: bytes, purpose: Purpose, stop: threading.Event
    ) -> bytes:
        self.begun.release()
        while not self.go.wait(0.01):
            if stop.is_set():
                self.canceled.release()
                raise Interrupted("canceled")
        return wire.text("signature") + wire.string(b"s")

    def forget(self) -> None:
        """Nothing is kept."""

    def expire(self) -> float | None:
        """Nothing is kept."""
        return None


@dataclass
class Served:
    world: World
    server: AgentServer
    path: Path
    tokens: Waiting
    admits: list[bool]
    clients: list[Client] = field(default_factory=list)

    def client(self) -> Client:
        self.clients.append(Client(self.path))
        return self.clients[-1]

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the server's thread take turns until it did something."""
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, "it did not happen"
            turned = threading.Event()
            self.server.call(turned.set)
            assert turned.wait(WAIT_S)

    def all_gone(self) -> None:
        self.until(lambda: self.server.clients == 0)


def serving(path: Path, world: World, *, most: int) -> Iterator[Served]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(64)
    tokens, admits = Waiting(), [True]
    world.agent = Agent(world.settings, tokens, world.person)
    server = AgentServer(world.agent, listener, lambda _channel: admits[0], most)
    thread = threading.Thread(target=server.run)
    thread.start()
    served = Served(world, server, path, tokens, admits)
    try:
        yield served
    finally:
        server.stop()
        thread.join(WAIT_S)
        for client in served.clients:
            client.close()
        assert not thread.is_alive()
