"""A child under load for `test_kill`: works on a token's file until it is killed.

Each line `JOB NUMBER PATH` on standard input forks a worker, which tells on standard output what is
acknowledged: job `store` does operation NUMBER and those after it on the bare store, without end;
job `sealed` does the same on a sealed store; job `guess` tries wrong PINs through the whole
authenticator; job `migrate` opens a file of an older version; job `serve` plugs in the registered
token PATH, for clients to work with.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from tests.virtual.core.client import Answer, Bench, Platform

from fidokit.types import CoseAlg, CredentialId, CtapStatus, UserId
from fidokit.virtual.core.ports import LargeBlob, Store, StoredCredential
from fidokit.virtual.store.sealed import SealedStore
from fidokit.virtual.store.sqlite import SqliteStore
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import TokenLink


def credential(number: int) -> StoredCredential:
    rp = f"ssh:{number % 3}"
    return StoredCredential(
        id=CredentialId(b"id" + number.to_bytes(30, signed=True)),
        rp_id=rp,
        rp_id_hash=hashlib.sha256(rp.encode()).digest(),
        user_id=UserId(bytes([number % 5])),
        user_name=None,
        user_display_name=None,
        alg=CoseAlg.ES256,
        secret=number.to_bytes(32, signed=True),
    )


def apply(store: Store, number: int) -> None:
    """Operation `number`, the same one in the worker and in the parent's model."""
    state = store.load()
    match number % 5:
        case 0 | 1:
            left = state.pin_retries - 1 if state.pin_retries else 8
            array = number.to_bytes(4) * 1000
            store.save(replace(state, pin_retries=left, large_blob_array=array))
        case 2:
            store.put(credential(number))
        case 3:
            store.update_user(credential(number - 1).id, f"name {number}", None)
        case _ if number % 50 == 24:
            store.update_large_blob(credential(number - 2).id, LargeBlob(bytes(2000), number))
        case _ if number % 50 == 49:
            store.wipe(replace(state, pin_retries=8))
        case _:
            store.delete(credential(number - 12).id)


SEAL = b"words"


def unsealed(path: Path) -> SealedStore:
    file = SqliteStore.open(path)
    assert file.seal is not None
    return SealedStore(file, file.seal.unlock(SEAL, file.identity.serial))


def work(path: Path, number: int) -> None:
    go_on(SqliteStore.open(path), number)


def work_sealed(path: Path, number: int) -> None:
    go_on(unsealed(path), number)


def migrate(path: Path, _number: int) -> None:
    os.write(1, b"opening\n")
    store = SqliteStore.open(path)
    os.write(1, b"opened\n")
    store.load()
    while True:
        signal.pause()


def go_on(store: Store, number: int) -> None:
    while True:
        apply(store, number)
        number += 1
        counters = [store.next_counter() for _ in range(30)]
        os.write(1, f"done {number} {counters[0]} {counters[-1]}\n".encode())


class LinkBench(Bench):
    """The tests' platform on a token with a file."""

    def __init__(self, token: VirtualToken) -> None:
        self.link: TokenLink = token.link()

    def raw(self, request: bytes, channel: int = 0) -> Answer:
        return Answer.parse(self.link.cbor(request, lambda _: None, lambda: False))


def guess(path: Path, _number: int) -> None:
    token = VirtualToken(path)
    platform = Platform(LinkBench(token))
    while True:
        os.write(1, b"try\n")
        status = platform.try_pin("a wrong one")
        os.write(1, b"answered %d\n" % status)
        if status == CtapStatus.PIN_AUTH_BLOCKED:
            token.power_cycle()
            platform.agree()


def serve(name: Path, _number: int) -> None:
    token = VirtualToken(str(name))
    assert token.listener
    os.write(1, b"serving\n")
    while True:
        signal.pause()


JOBS = {
    "store": work,
    "sealed": work_sealed,
    "guess": guess,
    "migrate": migrate,
    "serve": serve,
}


def main() -> None:
    for line in sys.stdin:
        job, number, path = line.rstrip("\n").split(" ", 2)
        child = os.fork()
        if child == 0:
            os.write(1, f"worker {os.getpid()}\n".encode())  # it alone knows what comes next
            JOBS[job](Path(path), int(number))
        os.waitpid(child, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    main()
