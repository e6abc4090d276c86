"""The benchmark over pcscd measures what it says."""

from __future__ import annotations

import pytest
from benchmarks.place import place
from tests.support.pcscd import started

from benchmarks import bench_pcsc as bench


@pytest.mark.interop
def test_both_results_are_there_and_measured() -> None:
    with started():
        pass  # skipped here where it cannot run
    with place() as here:
        results = list(bench.run(here, rounds=1, count=2))
    assert [result.name.partition(", ")[2] for result in results] == [
        "short APDUs",
        "one extended APDU",
    ]
    assert all(0 < result.ours < 10 and result.peer == 0.001 for result in results)
