"""A child under load for `test_kill`: works on a token's file until it is killed.

Each line `PATH NUMBER` on standard input forks a worker that does operation NUMBER and those
after it, without end, and tells on standard output what is acknowledged.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

from fidokit.types import CoseAlg, CredentialId, UserId
from fidokit.virtual.core.ports import Store, StoredCredential
from fidokit.virtual.sqlite_store import SqliteStore


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
            store.save(replace(state, pin_retries=left))
        case 2:
            store.put(credential(number))
        case 3:
            store.update_user(credential(number - 1).id, f"name {number}", None)
        case _ if number % 50 == 49:
            store.wipe(replace(state, pin_retries=8))
        case _:
            store.delete(credential(number - 12).id)


def work(path: Path, number: int) -> None:
    store = SqliteStore.open(path)
    while True:
        apply(store, number)
        number += 1
        counters = [store.next_counter() for _ in range(30)]
        os.write(1, f"done {number} {counters[0]} {counters[-1]}\n".encode())


def main() -> None:
    for line in sys.stdin:
        path, number = line.rsplit(" ", 1)
        child = os.fork()
        if child == 0:
            work(Path(path), int(number))
        os.write(1, f"worker {child}\n".encode())
        os.waitpid(child, 0)
        os.write(1, b"gone\n")


if __name__ == "__main__":
    main()
