"""The same requests to stock ssh-agent and to ours: both must answer alike, whatever comes.

Random lives of connections: keys with destination constraints, session binds true and forged,
lists, logins, removals, locks. What is compared is the type of each answer, and of lists which keys
they show. FIDOKIT_LIVES is how many lives.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.agent.core.world import World, bind, done, login
from tests.support import agent_keys
from tests.support.agent_host import WAIT_S, stock
from tests.support.children import popen
from tests.support.openssh_version import openssh
from tests.support.signers import PlainKey, certificate, ed25519_key

from fidokit.agent.core.agent import ClientState, Later, State
from fidokit.errors import FidokitError
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_constraints import Constraints, Destination, Hop, KeySpec
from fidokit.openssh.agent_messages import AgentExtension, FrameReader, SessionBind, frame
from fidokit.openssh.certificates.certificate import CertKind

pytestmark = pytest.mark.interop

LIVES = int(os.environ.get("FIDOKIT_LIVES", "25"))
HOSTS = {name: ed25519_key(80 + n) for n, name in enumerate(("near", "far", "other"))}
AUTHORITY = ed25519_key(90)
# OpenSSH refuses secrets of less than half the curve's bits
ECDSA = agent_keys.ecdsa(seed=1 << 250)
KEYS = (agent_keys.ed25519(2), ECDSA, agent_keys.rsa(), agent_keys.ed25519(3))
USERS = ("me", "root", "deploy")
PATTERNS = ("", "me", "*", "dep*", "r?ot")


class Stock:
    """Connections to a running ssh-agent."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._open: dict[int, tuple[socket.socket, FrameReader]] = {}

    def ask(self, client: int, payload: bytes) -> bytes:
        if client not in self._open:
            channel = socket.socket(socket.AF_UNIX)
            channel.settimeout(WAIT_S)
            channel.connect(self._path)
            self._open[client] = channel, FrameReader()
        channel, reader = self._open[client]
        channel.sendall(frame(payload))
        while (answer := reader.next()) is None:
            data = channel.recv(1 << 16)
            assert data, f"ssh-agent hung up after {payload.hex()}"
            reader.feed(data)
        return answer

    def forget(self) -> None:
        for channel, _ in self._open.values():
            channel.close()
        self._open.clear()


class Ours:
    """Connections to our core; time goes on as it must."""

    def __init__(self) -> None:
        import time

        self.world = World()
        self.world.wall = time.time()
        self._open: dict[int, ClientState] = {}

    def ask(self, client: int, payload: bytes) -> bytes:
        connection = self._open.setdefault(client, ClientState())
        step = self.world.step(payload, connection)
        if isinstance(step, Later):
            self.world.now = step.when
            return self.ask(client, payload)
        return done(step)

    @property
    def is_locked(self) -> bool:
        return self.world.agent.state is State.LOCKED

    def forget(self) -> None:
        self._open.clear()

    def story(self, client: int) -> tuple[object, ...]:
        """What a failed comparison needs to be understood."""
        hops = self._open[client].bindings.hops
        keys = [
            (e.comment, e.private.public.type_name, e.destinations) for e in self.world.agent.keys
        ]
        return [(hop.key, hop.forwarding) for hop in hops], keys, self.world.log[-2:]


def told(payload: bytes) -> object:
    try:
        return agent_messages.parse_request(payload)
    except FidokitError as error:
        return error


@contextmanager
def ssh_agent(folder: Path) -> Iterator[Stock]:
    path = folder / "s"
    command = [stock("ssh-agent"), "-D", "-a", str(path)]
    with popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.readline()
        made = Stock(path)
        try:
            yield made
        finally:
            made.forget()
            process.terminate()


PRINCIPALS = ("n*", "f*") if openssh() >= (10, 3) else ("elsewhere",)
"""Patterns, which stock matches from 10.3 on, and ours always."""


class Life:
    """What happens, by chance: the same for both agents."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.sessions: dict[int, list[tuple[str, bytes]]] = {}

    def request(self, client: int) -> bytes:
        kinds = (self.add, self.bind, self.bind, self.list, self.sign, self.sign, self.remove)
        rare = (self.lock, self.unlock, self.clear, self.odd)
        return self.rng.choice(kinds * 3 + rare)(client)

    def host(self) -> str:
        return self.rng.choice(tuple(HOSTS))

    def hop(self, user: str = "") -> Hop:
        name = self.host()
        if self.rng.random() < 0.2:
            return Hop(user, name, (KeySpec(AUTHORITY.public, is_ca=True),))
        is_ca = self.rng.random() < 0.1
        return Hop(user, name, (KeySpec(HOSTS[name].public, is_ca),))

    def add(self, _client: int) -> bytes:
        if self.rng.random() < 0.2:
            return agent_messages.encode_add(self.rng.choice(KEYS).fields, "free")
        destinations = tuple(
            Destination(
                Hop() if self.rng.random() < 0.6 else self.hop(),
                self.hop(self.rng.choice(PATTERNS)),
            )
            for _ in range(self.rng.randrange(1, 4))
        )
        limits = Constraints(destinations=destinations)
        return agent_messages.encode_add(self.rng.choice(KEYS).fields, "bound", limits)

    def bind(self, client: int) -> bytes:
        name, forwarding = self.host(), self.rng.random() < 0.6
        known = self.sessions.setdefault(client, [])
        again = known and self.rng.random() < 0.2
        session = self.rng.choice(known)[1] if again else self.rng.randbytes(20)
        # where it is the first, ours hides constrained keys as later OpenSSH does; 9.2 does not
        if known and self.rng.random() < 0.1:
            return bind(HOSTS[name], session, forwarding=forwarding, signed=b"another")
        known.append((name, session))
        if self.rng.random() < 0.25:
            return self._certified(name, session, forwarding)
        return bind(HOSTS[name], session, forwarding=forwarding)

    def _certified(self, name: str, session: bytes, forwarding: bool) -> bytes:
        made = certificate(
            HOSTS[name].public,
            self.rng.choice((AUTHORITY, HOSTS["other"])),
            kind=self.rng.choice((CertKind.HOST, CertKind.HOST, CertKind.USER)),
            principals=self.rng.choice(((name,), ("near",), PRINCIPALS)),
            extensions=(),
        )
        signature = HOSTS[name].sign(session).blob()
        body = SessionBind(made.blob(), session, signature, forwarding).encode()
        return AgentExtension(agent_messages.SESSION_BIND, body).encode()

    def list(self, _client: int) -> bytes:
        return agent_messages.REQUEST_IDENTITIES

    def sign(self, client: int) -> bytes:
        held = self.rng.choice(KEYS)
        known = self.sessions.get(client) or [(self.host(), b"session")]
        name, session = known[-1] if self.rng.random() < 0.8 else self.rng.choice(known)
        host: PlainKey | None = HOSTS[name]
        if self.rng.random() < 0.2:
            host = self.rng.choice((None, HOSTS[self.host()]))
        data = login(held.read(), user=self.rng.choice(USERS), session=session, host=host)
        if self.rng.random() < 0.1:
            data = data[: self.rng.randrange(len(data))]
        flags = self.rng.choice((0, 2, 4))
        return agent_messages.SignRequest(held.public.blob(), data, flags).encode()

    def remove(self, _client: int) -> bytes:
        return agent_messages.encode_remove(self.rng.choice(KEYS).public.blob())

    def clear(self, _client: int) -> bytes:
        return bytes([self.rng.choice((9, 19))])

    def lock(self, _client: int) -> bytes:
        return bytes([22]) + wire.string(self.rng.choice((b"words", b"")))

    def unlock(self, _client: int) -> bytes:
        return bytes([23]) + wire.string(b"words")

    def odd(self, _client: int) -> bytes:
        return self.rng.choice(
            (bytes([200]), AgentExtension("other@example.org").encode(), bytes([1]), bytes([17]))
        )


def essence(answer: bytes) -> object:
    """What has to be alike: the type, and of a list the keys and comments."""
    if answer[0] == agent_messages.Type.IDENTITIES_ANSWER:
        return sorted(agent_messages.parse_identities(answer))
    if answer == agent_messages.EXTENSION_FAILURE:  # what OpenSSH before 10.3 says by FAILURE
        return int(agent_messages.Type.FAILURE)
    return answer[0]


def test_both_agents_answer_alike(tmp_path: Path) -> None:
    rng = random.Random(5)
    seen: set[object] = set()
    with ssh_agent(tmp_path) as theirs:
        for life_number in range(LIVES):
            ours, life = Ours(), Life(rng)
            theirs.forget()
            for setup in (bytes([23]) + wire.string(b"words"), bytes([19])):
                theirs.ask(0, setup)
            theirs.forget()
            for step in range(40):
                client = rng.randrange(3)
                payload = life.request(client)
                if ours.is_locked and payload[0] == agent_messages.Type.EXTENSION:
                    continue  # binds count here while it is locked, as from OpenSSH 10.5 on
                expected = essence(theirs.ask(client, payload))
                found = essence(ours.ask(client, payload))
                where = f"life {life_number}, step {step}, client {client}: {payload.hex()}"
                assert found == expected, "\n".join(
                    map(str, (where, told(payload), *ours.story(client)))
                )
                seen.add((payload[0], expected if isinstance(expected, int) else "list"))
    assert {(13, 5), (13, 14), (17, 6), (25, 6), (27, 5), (27, 6), (18, 5), (18, 6)} <= seen
