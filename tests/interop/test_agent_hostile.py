"""Requests that nobody sane sends, to a real agent with keys, an upstream agent and a token: by a
local and by a forwarded channel, open, locked and read-only. None ends it, stalls it or leaves
anything with it.

FIDOKIT_HOSTILE is how many requests; the suite sends some thousand, 200,000 were sent once.
"""

from __future__ import annotations

import os
import random
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.interop.test_agent_soak import _descriptors, resident_kb
from tests.support import agent_keys
from tests.support.agent_host import Host, make_host, serving, sk_key, stock, virtual_token
from tests.support.mutate import mutants
from tests.support.signers import certificate, ed25519_key, rsa_key

from fidokit.keys.holder import read_key_file
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_constraints import Constraints, Destination, Hop, KeySpec
from fidokit.openssh.agent_messages import AgentExtension, FrameReader, SessionBind, frame

pytestmark = pytest.mark.interop

REQUESTS = int(os.environ.get("FIDOKIT_HOSTILE", "3000"))
BATCH = 500
GROWTH_KB = 12_000
"""For all keys that the agent may be made to hold at a time; they are dropped after each batch."""
WAIT_S = 60
HOST_KEY = ed25519_key(70)
SEED = 20_261_130


class Channel:
    """A client that sends anything, and connects anew where the agent hangs up."""

    def __init__(self, path: str, *, forwarded: bool = False) -> None:
        self._path, self._forwarded = path, forwarded
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(WAIT_S)
        self.socket.connect(self._path)
        self._reader = FrameReader()
        if self._forwarded:
            assert self.ask(bind(b"session", forwarding=True)) is not None

    def ask(self, payload: bytes) -> bytes | None:
        """The answer; None where the agent hung up."""
        try:
            self.socket.sendall(frame(payload))
            while (answer := self._reader.next()) is None:
                data = self.socket.recv(65_536)
                if not data:
                    break
                self._reader.feed(data)
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        if answer is None:
            self.socket.close()
            self._connect()
        return answer


def bind(session: bytes, *, forwarding: bool = False) -> bytes:
    signature = HOST_KEY.sign(session).blob()
    body = SessionBind(HOST_KEY.public.blob(), session, signature, forwarding).encode()
    return AgentExtension(agent_messages.SESSION_BIND, body).encode()


class Requests:
    """Valid ones and damaged ones, and those whose numbers are chosen to hurt."""

    def __init__(self, sk: bytes, seed: int) -> None:
        self.rng = random.Random(seed)
        self.sk = sk
        self.corpus = self._corpus()
        self.shaped: list[Callable[[], bytes]] = [
            self.rsa,
            self.ecdsa,
            self.long_comment,
            self.destinations,
            self.certified,
            self.sign,
            self.binding,
            self.anything,
        ]

    def _corpus(self) -> list[bytes]:
        limits = Constraints(5, confirm=True, destinations=(self.destination(2),))
        return [
            agent_messages.REQUEST_IDENTITIES,
            *(agent_messages.encode_add(held.fields, "c", limits) for held in agent_keys.ALL),
            agent_messages.encode_add(agent_keys.sk().encode(), "c", Constraints(provider="x")),
            agent_messages.SignRequest(self.sk, b"data").encode(),
            agent_messages.SignRequest(agent_keys.rsa().public.blob(), b"d", 2).encode(),
            agent_messages.encode_remove(agent_keys.rsa().public.blob()),
            AgentExtension("query").encode(),
            bytes([20]) + wire.text("/lib/x.so") + wire.string(b"1234"),
            bind(b"x", forwarding=True),
        ]

    def stream(self, count: int) -> Iterator[bytes]:
        damaged = mutants(self.corpus, count)
        for _ in range(count):
            yield next(damaged) if self.rng.random() < 0.5 else self.rng.choice(self.shaped)()

    def number(self) -> int:
        bits = self.rng.choice((0, 1, 2, 64, 1024, 2048, 8192, 16_384, 20_000))
        return self.rng.getrandbits(bits) if bits else 0

    def rsa(self) -> bytes:
        p, q = self.number(), self.number()
        n = p * q if self.rng.random() < 0.7 else self.number()
        numbers = (n, self.number(), self.number(), self.number(), p, q)
        fields = wire.text("ssh-rsa") + b"".join(map(wire.mpint, numbers))
        return agent_messages.encode_add(fields, "rsa")

    def ecdsa(self) -> bytes:
        bits = self.rng.choice((256, 384, 521))
        point = b"\4" + self.rng.randbytes(2 * ((bits + 7) // 8))
        fields = (
            wire.text(f"ecdsa-sha2-nistp{bits}")
            + wire.text(f"nistp{self.rng.choice((256, 384, 521))}")
            + wire.string(point)
            + wire.mpint(self.number())
        )
        return agent_messages.encode_add(fields, "ecdsa")

    def long_comment(self) -> bytes:
        held = self.rng.choice(agent_keys.ALL)
        return agent_messages.encode_add(held.fields, "x" * self.rng.randrange(250_000))

    def destination(self, keys: int) -> Destination:
        specs = tuple(KeySpec(HOST_KEY.public, is_ca=bool(n % 2)) for n in range(keys))
        return Destination(Hop(), Hop("u", "h", specs))

    def destinations(self) -> bytes:
        many = (self.destination(self.rng.randrange(1, 200)),) * self.rng.randrange(1, 10)
        held = self.rng.choice(agent_keys.ALL)
        return agent_messages.encode_add(held.fields, "d", Constraints(destinations=many))

    def certified(self) -> bytes:
        made = certificate(agent_keys.ed25519().public, rsa_key())
        forged = replace(made, serial=self.rng.getrandbits(64))
        head = wire.text(made.type_name) + wire.string(forged.blob())
        return agent_messages.encode_add(head + agent_keys.ed25519().fields[15:], "c")

    def sign(self) -> bytes:
        blob = self.rng.choice((self.sk, agent_keys.rsa().public.blob(), self.rng.randbytes(40)))
        data = self.rng.randbytes(self.rng.choice((0, 100, 200_000)))
        return agent_messages.SignRequest(blob, data, self.rng.getrandbits(32)).encode()

    def binding(self) -> bytes:
        return bind(self.rng.randbytes(self.rng.choice((1, 32, 128, 129))), forwarding=True)

    def anything(self) -> bytes:
        return self.rng.randbytes(self.rng.randrange(1, 60))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = make_host(tmp_path / "home")
    virtual_token(made, pin=False)
    (made.home / "pin").write_text("1234\n")
    sk_key(made, "sk", "-t", "ed25519-sk")
    made.keygen("-t", "ed25519", "-N", "", "-C", "upstream", "-f", "plain")
    return made


@contextmanager
def upstream(host: Host) -> Iterator[str]:
    """Stock ssh-agent with one key."""
    path = str(host.home / "up")
    said = host.run(stock("ssh-agent"), "-a", path).stdout.decode()
    pid = int(said.split("SSH_AGENT_PID=")[1].split(";")[0])
    try:
        host.run(stock("ssh-add"), "-q", "plain", SSH_AUTH_SOCK=path)
        yield path
    finally:
        os.kill(pid, signal.SIGTERM)


def spare(payload: bytes) -> bool:
    """Whether a request would lock the agent or drop what the test looks at."""
    return bool(payload) and payload[0] in {9, 19, 22, 23}


@pytest.mark.parametrize("state", ["open", "locked", "read-only", "upstream"])
def test_no_request_ends_or_stalls_it(host: Host, state: str) -> None:
    key, _ = read_key_file(host.home / "sk", None)
    blob = key.public.blob()
    options = ["--read-only"] if state == "read-only" else []
    print(f"seed {SEED}")
    with ExitStack() as stack:
        if state == "upstream":
            options = ["--upstream", stack.enter_context(upstream(host))]
        stack.enter_context(serving(host, host.home / "sk", "--no-notify", *options))
        others = Channel(host.socket)
        if state == "locked":
            assert others.ask(bytes([22]) + wire.string(b"words")) == agent_messages.SUCCESS
        before: tuple[int, int] | None = None
        requests = Requests(blob, SEED)
        for _ in range(max(REQUESTS // 4 // BATCH, 2)):
            channels = [Channel(host.socket), Channel(host.socket, forwarded=True)]
            for payload in requests.stream(BATCH):
                if not spare(payload):
                    requests.rng.choice(channels).ask(payload)
            for channel in channels:
                channel.socket.close()
            if state == "open":
                others.ask(bytes([19]))
                assert others.ask(agent_messages.encode_add(_fields(host), "sk"))
            answer = others.ask(agent_messages.REQUEST_IDENTITIES)
            assert (answer or b"-")[0] == 12, "others are served"
            now = resident_kb(host.pid), _descriptors(host)
            before = before or now
            assert now[0] - before[0] < GROWTH_KB
            assert now[1] <= before[1] + 4
        if state == "locked":
            assert others.ask(bytes([23]) + wire.string(b"words")) == agent_messages.SUCCESS
        listed = agent_messages.parse_identities(others.ask(b"\x0b") or b"")
        assert blob in {found for found, _ in listed}
        made = others.ask(agent_messages.SignRequest(blob, b"data").encode())
        assert (made or b"-")[0] == 14
        others.socket.close()
    said = host.said()
    assert "Traceback" not in said
    assert "a defect" not in said


def _fields(host: Host) -> bytes:
    key, _ = read_key_file(host.home / "sk", None)
    return key.encode()  # type: ignore[union-attr]
