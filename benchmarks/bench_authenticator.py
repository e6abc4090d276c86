"""The virtual authenticator at its bytes interface, all checks on, beside bare `cryptography`."""

from __future__ import annotations

import hmac
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.place import Place
from benchmarks.timing import Result, take_turns
from benchmarks.timing import run as run_program

CALLS = 100
ROUNDS = 200
SIZES = (10, 100, 1_000, 10_000)
PEER = "bare cryptography"
"""The same P-256 operations without an authenticator around them."""

HALF, QUARTER, THREE_TENTHS = 2.0, 4.0, 1 / 0.3
FLAT = 1.25
DURABLE = 1.5
OPENING = 0.05
MEMORY = 100.0
"""Megabytes."""

HASH = bytes(range(32))
RP = "ssh:bench"
PROTOCOL = 2


class Machine:
    """An authenticator over a store, with somebody who touches at once.

    Args:
        store: a store of `fidokit.virtual`, or None for one in memory.
    """

    def __init__(self, store: Any = None) -> None:
        from fidokit.virtual.core.engine import Authenticator
        from fidokit.virtual.core.factory import new_state
        from fidokit.virtual.core.profile import CTAP_2_3
        from fidokit.virtual.store import MemoryStore
        from fidokit.virtual.world import SystemClock, SystemRng

        model = replace(CTAP_2_3, max_resident=2 * SIZES[-1])
        store = store or MemoryStore(new_state(model, SystemRng()))
        self.store = store
        self.authenticator = Authenticator(model, store, SystemClock(), SystemRng())

    def handle(self, request: bytes) -> bytes:
        """A reply, touches included."""
        from fidokit.virtual.core.ports import Outcome

        reply = self.authenticator.begin(request)
        while not isinstance(reply, bytes):
            reply = self.authenticator.resume(Outcome.TOUCHED)
        return reply

    def call(self, request: bytes) -> bytes:
        """A reply's CBOR; AssertionError for any status but 00."""
        reply = self.handle(request)
        assert reply[0] == 0, f"status {reply[0]:#04x}"
        return reply[1:]

    def make(self, rp_id: str = RP, *, rk: bool) -> bytes:
        """A new credential's id."""
        from fidokit import cbor

        reply: Any = cbor.decode(self.call(making(rp_id, rk=rk)))
        size = int.from_bytes(reply[2][53:55])
        return bytes(reply[2][55 : 55 + size])

    def fill(self, count: int) -> None:
        """That many resident credentials, each of another relying party."""
        for number in range(count):
            self.call(making(f"ssh:{number}", rk=True))


def request(command: int, members: dict[int, Any]) -> bytes:
    """A command's bytes."""
    from fidokit import cbor

    return bytes([command]) + cbor.encode(members)


def making(rp_id: str, *, rk: bool) -> bytes:
    """A makeCredential request for ES256."""
    user = {"id": b"ada", "name": "ada@example.org"}
    wanted = [{"alg": -7, "type": "public-key"}]
    return request(1, {1: HASH, 2: {"id": rp_id}, 3: user, 4: wanted, 7: {"rk": rk}})


def getting(rp_id: str, *listed: bytes) -> bytes:
    """A getAssertion request."""
    allowed = [{"id": one, "type": "public-key"} for one in listed]
    return request(2, {1: rp_id, 2: HASH} | ({3: allowed} if allowed else {}))


def seconds_per_call(work: Callable[[], object], calls: int = CALLS) -> Callable[[], float]:
    """A measurement of one call, taken over many."""

    def measure() -> float:
        began = time.perf_counter()
        for _ in itertools.repeat(None, calls):
            work()
        return (time.perf_counter() - began) / calls

    return measure


def bare_signature() -> Callable[[], bytes]:
    """What getAssertion signs: 69 bytes, by a key that is loaded."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key, signing = ec.generate_private_key(ec.SECP256R1()), ec.ECDSA(hashes.SHA256())
    message = bytes(69)
    return lambda: key.sign(message, signing)


def bare_making() -> Callable[[], bytes]:
    """What makeCredential cannot do without: a new key and a signature."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    curve, signing, message = ec.SECP256R1(), ec.ECDSA(hashes.SHA256()), bytes(250)
    return lambda: ec.generate_private_key(curve).sign(message, signing)


def rates(rounds: int) -> Iterator[Result]:
    """Speed in memory, beside the bare operations and in absolute numbers."""
    machine = Machine()
    resident, wrapped = machine.make(rk=True), machine.make("ssh:wrapped", rk=False)
    sign, make = bare_signature(), bare_making()
    cases = (
        ("getAssertion, resident", getting(RP), sign, HALF, 5_000),
        ("getAssertion, resident by id", getting(RP, resident), sign, HALF, 5_000),
        ("getAssertion, wrapped", getting("ssh:wrapped", wrapped), sign, QUARTER, None),
        ("makeCredential, wrapped", making(RP, rk=False), make, THREE_TENTHS, 3_000),
    )
    for name, sent, bare, goal, floor in cases:
        work = partial(machine.handle, sent)
        ours, peer = take_turns(seconds_per_call(work), seconds_per_call(bare), rounds)
        yield Result(name, ours, PEER, peer, goal)
        if floor:
            yield Result(name, ours, f"{floor:,} a second", 1 / floor, 1.0)


def new_file(path: Path) -> Any:
    """An empty token file, plugged in."""
    from fidokit.virtual.core.factory import new_state
    from fidokit.virtual.core.profile import CTAP_2_3
    from fidokit.virtual.store import SqliteStore
    from fidokit.virtual.store.schema import TokenIdentity
    from fidokit.virtual.world import SystemRng

    identity = TokenIdentity("FK-BENCH", "ctap2.3", "auto", 0)
    return SqliteStore.create(path, identity, new_state(CTAP_2_3, SystemRng()))


def opened(path: Path) -> Any:
    """A token file, plugged in."""
    from fidokit.virtual.store import SqliteStore

    return SqliteStore.open(path)


def write_file(path: Path, count: int) -> None:
    """A token file of that many residents, without a flush for each."""
    store = new_file(path)
    store._db.execute("PRAGMA synchronous = OFF")
    Machine(store).fill(count)
    store.close()


def durable(here: Place, rounds: int) -> Iterator[Result]:
    """The same with a file behind it, flushes included."""
    store = new_file(here.home / "durable")
    with_file, without = Machine(store), Machine()
    for machine in (with_file, without):
        machine.make(rk=True)
    sent = getting(RP)
    ours, peer = take_turns(
        seconds_per_call(lambda: with_file.handle(sent)),
        seconds_per_call(lambda: without.handle(sent)),
        rounds,
    )
    store.close()
    yield Result("getAssertion, resident, durable", ours, "the same in memory", peer, DURABLE)


def strangers(machine: Machine) -> Callable[[], bytes]:
    """Lookups that find nothing, so that no cache and no signature hides their cost."""
    sent = itertools.cycle(
        [
            getting(f"ssh:nobody {number}", *(os.urandom(32) for _ in range(8 * (number % 2))))
            for number in range(4 * CALLS)
        ]
    )
    return lambda: machine.handle(next(sent))


def lookups(files: dict[int, Path], rounds: int) -> Iterator[Result]:
    """The curve from few to many residents: half by RP alone, half by lists of eight ids."""
    stores = {count: opened(path) for count, path in files.items()}
    few, *more = (Machine(store) for store in stores.values())
    for count, machine in zip(list(files)[1:], more, strict=True):
        for what, work in (("lookups", strangers), ("getAssertion", one_of_them)):
            ours, peer = take_turns(
                seconds_per_call(work(machine)), seconds_per_call(work(few)), rounds
            )
            yield Result(f"{what} among {count:,} residents", ours, "among 10", peer, FLAT)
    for store in stores.values():
        store.close()


def one_of_them(machine: Machine) -> Callable[[], bytes]:
    """Assertions by ten credentials that every size has."""
    sent = itertools.cycle([getting(f"ssh:{number}") for number in range(10)])
    return lambda: machine.call(next(sent))


def enumeration(machine: Machine) -> float:
    """Seconds for one relying party, when all are enumerated."""
    from fidokit.virtual.core.person.pin_uv_token import TokenPermission

    tokens = machine.authenticator.token.tokens
    token = tokens.issue(PROTOCOL, TokenPermission.CREDENTIAL_MANAGEMENT)
    mac = hmac.digest(token, b"\x02", "sha256")
    following = request(0x0A, {1: 3})
    began = time.perf_counter()
    first: Any = _decoded(machine.call(request(0x0A, {1: 2, 3: PROTOCOL, 4: mac})))
    for _ in range(first[5] - 1):
        machine.call(following)
    return (time.perf_counter() - began) / int(first[5])


def _decoded(reply: bytes) -> Any:
    from fidokit import cbor

    return cbor.decode(reply)


def many(files: dict[int, Path], rounds: int) -> Iterator[Result]:
    """What grows with the number of residents, and how."""
    fewer, count = sorted(files)[-2:]
    large, small = (Machine(opened(files[size])) for size in (count, fewer))
    ours, peer = take_turns(lambda: enumeration(large), lambda: enumeration(small), min(rounds, 20))
    yield Result(f"enumerating {count:,} residents, each", ours, f"of {fewer:,}", peer, FLAT)
    for machine in (large, small):
        machine.store.close()
    opening = seconds_per_call(lambda: opened(files[count]).close(), 1)
    ours, _ = take_turns(opening, opening, min(rounds, 10))
    yield Result(f"opening a token of {count:,} residents", ours, "ceiling", OPENING, 1.0)


def in_a_child(here: Place, *arguments: object) -> float:
    """Run this module in a process of its own; peak memory in megabytes."""
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "benchmarks.bench_authenticator", *map(str, arguments)]
    environment = {**here.environment, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    return run_program(command, environment).peak_memory / 1e6


def run(here: Place, rounds: int = ROUNDS, sizes: tuple[int, ...] = SIZES) -> Iterator[Result]:
    """Measure memory first, as a child counts this process's own as a floor; then speed.

    Args:
        here: where the token files go.
        rounds: of each measurement.
        sizes: numbers of residents to compare, ascending.
    """
    files = {count: here.home / f"token{count}" for count in sizes}
    for count, path in files.items():
        in_a_child(here, path, count)
    name, peak = f"peak memory with {sizes[-1]:,} residents", in_a_child(here, files[sizes[-1]])
    yield Result(name, peak, "ceiling", MEMORY, 1.0, unit="MB")
    yield from rates(rounds)
    yield from durable(here, rounds)
    yield from lookups(files, rounds)
    yield from many(files, rounds)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        write_file(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        opened_machine = Machine(opened(Path(sys.argv[1])))
        enumeration(opened_machine)
        opened_machine.store.close()
