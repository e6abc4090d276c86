"""Eight clients and many requests of all kinds: no error, and no growth in memory or descriptors.

FIDOKIT_SOAK is how many requests; `make soak` sends 100,000, the suite a few thousand.
"""

from __future__ import annotations

import os
import random
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import agent_keys
from tests.support.agent_host import Host, make_host, serving, sk_key, virtual_token
from tests.support.signers import ed25519_key

from fidokit.keys.holder import read_key_file
from fidokit.openssh import agent_messages
from fidokit.openssh.agent_constraints import Constraints
from fidokit.openssh.agent_messages import FrameReader, SessionBind, frame
from fidokit.openssh.signatures.signature import verify

pytestmark = pytest.mark.interop

CLIENTS = 8
REQUESTS = int(os.environ.get("FIDOKIT_SOAK", "6000"))
GROWTH_KB = 6_000
"""What may come on top after the first tenth; a leak of 100 bytes a request would be 10 MB."""
HOST_KEY = ed25519_key(70)


class Client:
    """A client that checks every answer."""

    def __init__(self, path: str, number: int, sk: bytes) -> None:
        self.path = path
        self.rng = random.Random(number)
        self.own = agent_keys.ed25519(100 + number)
        self.shared = agent_keys.ed25519(2)
        self.sk = sk
        self.done = 0
        self.socket = self.connect()
        self.kinds: list[tuple[int, Callable[[], None]]] = [
            (30, self.list),
            (30, self.sign),
            (5, self.sign_rsa),
            (10, self.add_and_remove),
            (5, self.query),
            (5, self.unknown),
            (5, self.malformed),
            (5, self.bind),
            (4, self.reconnect),
            (3, self.leave_in_the_middle),
            (1, self.sign_on_token),
        ]

    def connect(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX)
        channel.settimeout(60)
        channel.connect(self.path)
        self.reader = FrameReader()
        return channel

    def ask(self, payload: bytes) -> bytes:
        self.done += 1
        self.socket.sendall(frame(payload))
        while (answer := self.reader.next()) is None:
            data = self.socket.recv(65_536)
            assert data, "the agent hung up"
            self.reader.feed(data)
        return answer

    def run(self, count: int) -> None:
        weights = [weight for weight, _ in self.kinds]
        while self.done < count:
            [(_, kind)] = self.rng.choices(self.kinds, weights)
            kind()
        self.socket.close()

    # --- kinds of requests -----------------------------------------------------------------

    def list(self) -> None:
        comments = {
            c
            for _, c in agent_messages.parse_identities(self.ask(agent_messages.REQUEST_IDENTITIES))
        }
        assert {"shared", "rsa", "sk"} <= comments

    def sign(self) -> None:
        data = self.rng.randbytes(200)
        answer = self.ask(agent_messages.SignRequest(self.shared.public.blob(), data).encode())
        verify(self.shared.public, agent_messages.parse_signature_answer(answer), data)

    def sign_rsa(self) -> None:
        answer = self.ask(
            agent_messages.SignRequest(agent_keys.rsa().public.blob(), b"d", 2).encode()
        )
        verify(agent_keys.rsa().public, agent_messages.parse_signature_answer(answer), b"d")

    def add_and_remove(self) -> None:
        limits = Constraints(lifetime=self.rng.randrange(60, 3600))
        added = self.ask(agent_messages.encode_add(self.own.fields, "own " * 50, limits))
        removed = self.ask(agent_messages.encode_remove(self.own.public.blob()))
        assert (added, removed) == (agent_messages.SUCCESS, agent_messages.SUCCESS)

    def query(self) -> None:
        assert "query" in agent_messages.parse_query(
            self.ask(agent_messages.AgentExtension("query").encode())
        )

    def unknown(self) -> None:
        assert self.ask(bytes([self.rng.randrange(100, 256)])) == agent_messages.FAILURE

    def malformed(self) -> None:
        payload = bytes([self.rng.choice((13, 17, 25, 27))]) + self.rng.randbytes(40)
        assert self.ask(payload) == agent_messages.FAILURE

    def bind(self) -> None:
        session = self.rng.randbytes(32)
        signature = HOST_KEY.sign(session).blob()
        body = SessionBind(HOST_KEY.public.blob(), session, signature, forwarding=True).encode()
        answer = self.ask(agent_messages.AgentExtension(agent_messages.SESSION_BIND, body).encode())
        assert answer in {agent_messages.SUCCESS, agent_messages.FAILURE}  # sixteen are taken

    def reconnect(self) -> None:
        self.socket.close()
        self.socket = self.connect()

    def leave_in_the_middle(self) -> None:
        self.socket.sendall(frame(bytes(1000))[: self.rng.randrange(1, 1000)])
        self.reconnect()

    def sign_on_token(self) -> None:
        answer = self.ask(agent_messages.SignRequest(self.sk, b"data").encode())
        agent_messages.parse_signature_answer(answer)


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def round_of(host: Host, count: int, sk: bytes) -> None:
    """`count` requests by eight clients at a time; what one of them raises, the test raises."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            Client(host.socket, number, sk).run(count // CLIENTS)
        except BaseException as error:  # noqa: BLE001  carried over to the test's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_soak(tmp_path: Path) -> None:
    host = make_host(tmp_path / "home")
    virtual_token(host, pin=False)
    (host.home / "pin").write_text("1234\n")
    key, _ = read_key_file(sk_key(host, "sk", "-t", "ed25519-sk"), None)
    with serving(host, host.home / "sk", "--no-notify"):
        starter = Client(host.socket, 0, key.public.blob())
        for held, comment in ((starter.shared, "shared"), (agent_keys.rsa(), "rsa")):
            starter.ask(agent_messages.encode_add(held.fields, comment))
        starter.socket.close()
        round_of(host, REQUESTS // 10, key.public.blob())
        memory, descriptors = resident_kb(host.pid), _descriptors(host)
        round_of(host, REQUESTS, key.public.blob())
        assert resident_kb(host.pid) - memory < GROWTH_KB
        assert _descriptors(host) <= descriptors + 2
        # clients that hung up are gone, and nothing but what is wrong is told
        assert "Traceback" not in host.said()


def _descriptors(host: Host) -> int:
    """Of the agent; only root may count those of a process that is not dumpable."""
    return agent_keys.descriptors(host.pid) if os.geteuid() == 0 else 0
