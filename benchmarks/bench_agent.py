"""Our agent beside OpenSSH's ssh-agent: lists, signatures, new connections, a token's signature.

Both are driven by the same client over their sockets, in turns; so the client's own time is in both
figures. In front of an ssh-agent with a hundred keys, our agent's peer is that agent itself. Others
wait, while one client adds the costliest key, as long as the longest of many lists takes. For
tokens the peer is the token itself: what our agent adds to its time; and ssh-agent, whose helper
reaches the same token by our library, which starts Python for each signature.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import bench_startup
from benchmarks.place import FIDOKIT, Place
from benchmarks.timing import Measure, Result, seconds_of, take_turns

ROUNDS = 7
REQUESTS = 400
LIST = b"\0\0\0\1\x0b"
GOALS = {"list": 1 / 0.5, "sign": 1 / 3, "connect": 1 / 0.3}
"""As ratios of times: half the requests a second, three times, 0.3 times."""
UPSTREAM_KEYS = 100
UPSTREAM_GOAL = 2.0
HOST_KEYS = 4096
"""As many as all keys of our agent may name in their destinations."""
OTHERS_WAIT_S = 0.05
"""What other clients may wait while one adds the costliest key that the agent takes."""
TOKEN = "virtual:agent"
TOKEN_EXTRA_S = 0.001
PROVIDER_GOAL = 80 / 30
"""Milliseconds where the peer takes 30."""
"""What a signature by a token may take beyond the token's own time."""


class Client:
    """One connection to an agent."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)

    def ask(self, request: bytes) -> bytes:
        """Send a frame; return the answer's payload."""
        self._socket.sendall(request)
        data = self._socket.recv(65_536)
        size = int.from_bytes(data[:4], "big")
        while len(data) < 4 + size:
            data += self._socket.recv(65_536)
        return data[4:]

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def sign_request(blob: bytes, data: bytes) -> bytes:
    return string(b"\x0d" + string(blob) + string(data) + bytes(4))


@contextmanager
def stock_agent(here: Place, *options: str) -> Iterator[str]:
    """ssh-agent in the foreground; gives its socket."""
    path = str(here.home / "stock.sock")
    command = ["ssh-agent", "-D", "-a", path, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=here.environment) as agent:
        assert agent.stdout
        agent.stdout.readline()
        try:
            yield path
        finally:
            agent.terminate()


@contextmanager
def our_agent(here: Place, *options: str) -> Iterator[str]:
    """`fidokit agent serve` in the foreground; gives its socket."""
    path = here.home / "private" / "ours.sock"
    command = [*FIDOKIT, "agent", "serve", "-a", str(path), "--no-notify", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=here.environment
    ) as agent:
        assert agent.stdout
        agent.stdout.readline()
        try:
            yield str(path)
        finally:
            agent.send_signal(signal.SIGTERM)


def add(here: Place, path: str, key: Path, *options: str) -> bytes:
    """Put a key into an agent with ssh-add; returns its public blob."""
    import base64

    environment = {**here.environment, "SSH_AUTH_SOCK": path}
    subprocess.run(["ssh-add", "-q", *options, str(key)], env=environment, check=True, timeout=60)
    return base64.b64decode(key.with_name(key.name + ".pub").read_text().split()[1])


def keygen(here: Place, name: str) -> Path:
    path = here.home / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def per_request(client: Client, request: bytes, count: int) -> Measure:
    """Seconds for one request, `count` of them in a row."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(count):
            client.ask(request)
        return (time.perf_counter() - began) / count

    return measure


def per_connection(path: str, count: int) -> Measure:
    """Seconds for a connection with one list."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in range(count):
            client = Client(path)
            client.ask(LIST)
            client.close()
        return (time.perf_counter() - began) / count

    return measure


def add_request(number: int, constraints: bytes = b"") -> bytes:
    """The frame that adds an ed25519 key; the same number gives the same key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    seed = hashlib.sha256(b"fidokit benchmark %d" % number).digest()
    point = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    fields = string(b"ssh-ed25519") + string(point) + string(seed + point)
    comment = string(b"user%d@example.org" % number)
    return string((b"\x19" if constraints else b"\x11") + fields + comment + constraints)


def costliest() -> bytes:
    """The frame that adds a key for one host with as many host keys as our agent takes."""
    keys = b"".join(
        string(string(b"ssh-ed25519") + string(hashlib.sha256(b"%d" % number).digest())) + b"\0"
        for number in range(HOST_KEYS)
    )
    origin = string(b"") * 3
    to = string(b"") + string(b"host.example.org") + string(b"") + keys
    destination = string(string(origin) + string(to) + string(b""))
    name = b"restrict-destination-v00@openssh.com"
    return add_request(0, b"\xff" + string(name) + string(destination))


def upstream_row(here: Place, rounds: int, count: int) -> Result:
    """A list through our agent, beside one of the upstream agent itself."""
    with stock_agent(here) as stock, our_agent(here, "--upstream", stock) as ours:
        through, direct = Client(ours), Client(stock)
        for number in range(UPSTREAM_KEYS):
            assert direct.ask(add_request(number)) == b"\x06"
        assert through.ask(LIST) == direct.ask(LIST)
        best = take_turns(
            per_request(through, LIST, count), per_request(direct, LIST, count), rounds
        )
        through.close()
        direct.close()
    title = f"agent: a list, upstream of {UPSTREAM_KEYS} keys"
    return Result(title, best[0], "that upstream", best[1], UPSTREAM_GOAL)


def others_row(here: Place, rounds: int, times: int = 5) -> Result:
    """The longest time of a list while another client adds the costliest key again and again."""
    request = costliest()
    with our_agent(here) as path:
        adding, other = Client(path), Client(path)

        def measure() -> float:
            answers: list[bytes] = []
            work = threading.Thread(
                target=lambda: answers.extend(adding.ask(request) for _ in range(times))
            )
            list_once = per_request(other, LIST, 1)
            work.start()
            longest = list_once()
            while work.is_alive():
                longest = max(longest, list_once())
            assert answers == [b"\x06"] * times
            return longest

        longest = min(measure() for _ in range(rounds + 1))
        adding.close()
        other.close()
    title = "agent: others' wait while a key is added"
    return Result(title, longest, "ceiling", OTHERS_WAIT_S, 1.0)


def run(here: Place, rounds: int = ROUNDS, count: int = REQUESTS) -> Iterator[Result]:
    """Measure ours against ssh-agent, then what our agent adds to a token's own time."""
    with ExitStack() as stack:
        ours = stack.enter_context(our_agent(here))
        stock = stack.enter_context(stock_agent(here))
        key = keygen(here, "bench")
        blob = add(here, ours, key)
        add(here, stock, key)
        mine, theirs = Client(ours), Client(stock)
        stack.callback(mine.close)
        stack.callback(theirs.close)
        peer = "ssh-agent"
        pairs: dict[str, tuple[str, Callable[[Client, str], Measure]]] = {
            "list": ("agent: a list", lambda c, _p: per_request(c, LIST, count)),
            "sign": (
                "agent: an ed25519 signature",
                lambda c, _p: per_request(c, sign_request(blob, bytes(200)), count),
            ),
            "connect": ("agent: a new connection", lambda _c, p: per_connection(p, count)),
        }
        for name, (title, make) in pairs.items():
            best = take_turns(make(mine, ours), make(theirs, stock), rounds)
            yield Result(title, best[0], peer, best[1], GOALS[name])
    yield upstream_row(here, rounds, count)
    yield others_row(here, rounds)
    yield from _token(here, rounds, max(count // 4, 10))


def _token(here: Place, rounds: int, count: int) -> Iterator[Result]:
    """A signature through our agent, by the same token without it, and through ssh-agent."""
    from fidokit.keys.holder import read_key_file
    from fidokit.openssh.keys.private import SkPrivate

    here.fidokit("virtual", "create", "agent")
    key = here.home / "bench_sk"
    make = ("--token", TOKEN, "key", "generate", "-t", "ed25519-sk", "--no-passphrase")
    here.fidokit(*make, "-f", str(key))
    private, _ = read_key_file(key, None)
    assert isinstance(private, SkPrivate)
    own = _own_time(here, private, rounds, count)
    with our_agent(here) as path:
        ours = _best(path, add(here, path, key), rounds, count)
    yield Result(
        "agent: what it adds to a token's signature", ours - own, "ceiling", TOKEN_EXTRA_S, 1.0
    )
    library = here.fidokit("provider", "path").strip()
    near = replace(here, environment=here.environment | {"FIDOKIT_TOKEN": TOKEN})
    with stock_agent(near, "-P", library) as path:
        theirs = _best(path, add(near, path, key, "-S", library), 1, min(count, 10))
    yield Result("agent: a token's signature", ours, "ssh-agent, our library", theirs, 1.0)
    yield _by_provider(here, key, library, count)


def _by_provider(here: Place, key: Path, library: str, count: int) -> Result:
    """A signature by the provider under ssh-agent, its token served as hardware would be."""
    with bench_startup.served(here, "agent") as (_, selector):
        near = replace(here, environment=here.environment | {"FIDOKIT_TOKEN": selector})
        with stock_agent(near, "-P", library) as path:
            best = _best(path, add(near, path, key, "-S", library), 2, min(count, 10))
    hello = seconds_of(bench_startup.hello(here.home / "peer"), here.environment)
    peer = min(hello() for _ in range(10))
    goal = PROVIDER_GOAL
    return Result("provider: a signature under ssh-agent", best, bench_startup.PEER, peer, goal)


def _best(path: str, blob: bytes, rounds: int, count: int) -> float:
    """Seconds for a signature by a key that is in an agent."""
    client = Client(path)
    through = per_request(client, sign_request(blob, bytes(200)), count)
    best = min(through() for _ in range(rounds + 1))
    client.close()
    return best


def _own_time(here: Place, private: object, rounds: int, count: int) -> float:
    """Seconds of the token alone for an assertion, plugged in by this process."""
    from fidokit import cbor
    from fidokit.openssh.keys.private import SkPrivate

    assert isinstance(private, SkPrivate)
    request = b"\x02" + cbor.encode(
        {
            1: private.public.application,
            2: hashlib.sha256(bytes(200)).digest(),
            3: [{"id": bytes(private.key_handle), "type": "public-key"}],
        }
    )
    with _state(here):
        from fidokit.virtual import shared

        link = shared.open_link("agent")
        try:
            times = []
            for _ in range(rounds + 1):
                began = time.perf_counter()
                for _ in range(count):
                    answer = link.cbor(request, lambda _status: None, lambda: False)
                    assert answer[0] == 0
                times.append((time.perf_counter() - began) / count)
            return min(times)
        finally:
            link.close()


@contextmanager
def _state(here: Place) -> Iterator[None]:
    """This process looks for virtual tokens where the others do."""
    names = ("HOME", "XDG_STATE_HOME")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({n: v for n, v in here.environment.items() if n in names})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
