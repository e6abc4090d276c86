"""A fixed conversation with a seeded token, and the replies that are expected byte for byte.

`PYTHONPATH=src python -m tests.virtual.store.golden` writes the replies anew, after a change of the
token's behavior that is meant; the difference then shows in review.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from tests.virtual.core.client import (
    Answer,
    AuthData,
    descriptor,
    encode,
    get_request,
    make_request,
    param,
)

from fidokit.types import CoseAlg
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.memory import MemoryLink
from fidokit.virtual.world import ManualClock, SeededRng

GOLDEN = Path(__file__).parents[2] / "vectors" / "golden_token.json"
SEED = b"golden"
REPEATABLE = (
    CoseAlg.ES256,
    CoseAlg.ESP256,
    CoseAlg.ES384,
    CoseAlg.ESP384,
    CoseAlg.ES512,
    CoseAlg.ESP512,
    CoseAlg.ES256K,
    CoseAlg.EDDSA,
    CoseAlg.ED25519,
    CoseAlg.ED448,
)
"""Every signature but those of RSA, whose keys are not seeded, and ML-DSA, which is hedged."""


def seeded(seed: bytes = SEED) -> VirtualToken:
    """A token whose randomness and time are given."""
    return VirtualToken(rng=SeededRng(seed), clock=ManualClock(1_000))


def converse(token: VirtualToken) -> Iterator[tuple[str, bytes]]:
    """Yield each step's name and reply."""
    link = token.link()
    yield "key agreement", cbor(link, 0x06, {1: 2, 2: 2})
    for alg in REPEATABLE:
        for kind, rk in (("wrapped", False), ("resident", True)):
            made = cbor(link, 0x01, make_request({4: [param(alg)]}, rk=rk))
            yield f"{alg.name} {kind} made", made
            made_id = AuthData.parse(Answer.parse(made).body[2]).credential_id
            listed = get_request({3: [descriptor(made_id)]})
            yield f"{alg.name} {kind} used", cbor(link, 0x02, listed)
    challenge, application = sha256(b"challenge").digest(), sha256(b"application").digest()
    yield "U2F registered", link.msg(b"\0\1\0\0\x40" + challenge + application)
    yield "reset", cbor(link, 0x07, None)
    yield "made after a reset", cbor(link, 0x01, make_request())


def cbor(link: MemoryLink, command: int, members: Any) -> bytes:
    """One exchange; asserts status 00."""
    body = b"" if members is None else encode(members)
    reply = link.cbor(bytes([command]) + body, lambda _status: None, lambda: False)
    assert reply[0] == 0, f"status {reply[0]:#04x}"
    return reply


def replies(seed: bytes = SEED) -> dict[str, str]:
    """The whole conversation with a new token, in hexadecimal."""
    with seeded(seed) as token:
        return {name: reply.hex() for name, reply in converse(token)}


def expected() -> dict[str, str]:
    """What is committed."""
    read: dict[str, str] = json.loads(GOLDEN.read_text())
    return read


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(replies(), indent=1) + "\n")
