"""The benchmark of `server check` measures what it says: a report on every key, with rules held."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from benchmarks.place import place

from benchmarks import bench_authorized_keys, bench_server_check

pytestmark = pytest.mark.interop


def test_it_measures_both_kinds_and_memory() -> None:
    with place() as here:
        results = list(bench_server_check.run(here, rounds=1, count=20))
    assert [result.unit for result in results] == ["s", "s", "MB"]
    assert all(result.ours > 0 for result in results)


def test_every_key_is_reported(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    bench_authorized_keys.write_sample(keys, "ed25519-sk", 30)
    command = bench_server_check.command(bench_server_check.configure(tmp_path, keys))
    with place() as here:
        done = subprocess.run(
            command, env=here.environment, capture_output=True, text=True, check=True
        )
    said = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[3] for row in said if row[0] == "key"] == [str(n) for n in range(1, 31)]


@pytest.mark.root
def test_many_users_are_reported_beside_bare_questions() -> None:
    with place() as here:
        results = list(bench_server_check.run_users(here, rounds=1, users=6, keys_each=2))
    assert [(result.peer_name, result.unit) for result in results] == [
        ("sshd -T for each, one by one", "s"),
        ("ceiling", "s"),
        ("ceiling", "MB"),
    ]
    assert all(result.ours > 0 for result in results)


@pytest.mark.root
def test_many_users_are_proved_to_get_in() -> None:
    with place() as here:
        (result,) = bench_server_check.run_hardening(here, rounds=1, users=3, keys_each=2)
    assert (result.peer_name, result.unit) == ("ceiling", "s")
    assert result.ours > 0


@pytest.mark.root
def test_the_users_of_the_machine(tmp_path: Path) -> None:
    names = bench_server_check.populate(tmp_path, 4, 3)
    for number, name in enumerate(names):
        path = tmp_path / "home" / name / ".ssh/authorized_keys"
        assert len(path.read_text().splitlines()) == 3
        assert path.stat().st_uid == path.parent.stat().st_uid
        assert f"{name}:x:" in (tmp_path / "passwd").read_text(), number
