"""The agent's benchmark measures both agents, and a token with and without ours."""

from __future__ import annotations

import pytest
from benchmarks.place import place

from benchmarks import bench_agent as bench

pytestmark = pytest.mark.interop


def test_every_result_is_there_and_measured() -> None:
    with place() as here:
        results = list(bench.run(here, rounds=1, count=20))
    assert [result.name for result in results] == [
        "agent: a list",
        "agent: an ed25519 signature",
        "agent: a new connection",
        "agent: a list, upstream of 100 keys",
        "agent: others' wait while a key is added",
        "agent: what it adds to a token's signature",
        "agent: a token's signature",
        "provider: a signature under ssh-agent",
    ]
    assert all(result.ours > 0 < result.peer for result in results)
    assert [result.goal for result in results] == [2, 1 / 3, 1 / 0.3, 2, 1, 1, 1, 80 / 30]


def test_a_request_is_framed_as_the_protocol_has_it() -> None:
    assert bench.sign_request(b"key", b"data").hex() == (
        "000000140d000000036b6579000000046461746100000000"
    )
