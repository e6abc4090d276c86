"""The authenticator's benchmark measures what it says, on a token small enough for a test."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.place import place

from benchmarks import bench_authenticator as bench


def test_every_result_is_there_and_measured() -> None:
    with place() as here:
        results = list(bench.run(here, rounds=1, sizes=(10, 20)))
    names = [result.name for result in results]
    assert sum(name.startswith("getAssertion") for name in names) == 7
    for expected in (
        "makeCredential, wrapped",
        "lookups among 20 residents",
        "enumerating 20 residents, each",
        "opening a token of 20 residents",
        "peak memory with 20 residents",
    ):
        assert expected in names
    assert all(result.ours > 0 < result.peer for result in results)


def test_a_machine_refuses_to_measure_a_failure() -> None:
    with pytest.raises(AssertionError, match="0x2e"):
        bench.Machine().call(bench.getting("ssh:nobody"))


def test_a_filled_file_holds_that_many(tmp_path: Path) -> None:
    bench.write_file(tmp_path / "token", 7)
    store = bench.opened(tmp_path / "token")
    assert store.count() == 7
    assert bench.enumeration(bench.Machine(store)) > 0
    store.close()
