"""The benchmark of `virtual run` measures what it says."""

from __future__ import annotations

import pytest
from benchmarks.place import place

from benchmarks import bench_virtual_run as bench


@pytest.mark.interop
def test_both_results_are_there_and_measured() -> None:
    with place() as here:
        ready, ceremony = bench.run(here, rounds=1, count=1)
    assert (ready.peer, ready.goal) == (0.150, 1.0)
    assert (ceremony.peer_name, ceremony.goal) == ("its io functions", 1.2)
    assert all(0 < result.ours < 60 and result.peer > 0 for result in (ready, ceremony))
