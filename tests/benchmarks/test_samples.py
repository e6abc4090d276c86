"""The peers and samples are fair: real keys for ssh-keygen, a click program that works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import bench_authorized_keys, bench_startup, place, sample_keys


@pytest.mark.interop
@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_stock_ssh_keygen_reads_every_sample(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("".join(sample_keys.lines(kind, 5)))
    done = subprocess.run(
        ["ssh-keygen", "-lf", str(path)], capture_output=True, text=True, check=True
    )
    said = done.stdout.splitlines()
    assert len({line.split()[1] for line in said}) == 5
    assert all(line.endswith(f"({kind.upper()})") for line in said)


def test_samples_are_the_same_in_every_run() -> None:
    assert list(sample_keys.lines("ecdsa-sk", 2)) == list(sample_keys.lines("ecdsa-sk", 2))


def test_sample_is_written_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    bench_authorized_keys.write_sample(path, "ed25519-sk", 3)
    assert path.read_text() == "".join(sample_keys.lines("ed25519-sk", 3))


def test_peer_says_hello_and_is_compiled(tmp_path: Path) -> None:
    command = bench_startup.hello(tmp_path / "hello")
    done = subprocess.run(command, capture_output=True, text=True, env={}, check=True)
    assert done.stdout == "hello world\n"
    assert list((tmp_path / "hello/__pycache__").glob("hello.*.pyc"))


def test_measured_programs_inherit_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("FIDOKIT_TOKEN", "virtual:mine")
    with place.place() as here:
        assert set(here.environment) <= {*place.KEPT, "HOME", "XDG_STATE_HOME"}
        assert here.home.is_dir()
    assert not here.home.exists()


def test_script_is_started_by_the_interpreter_that_measures() -> None:
    assert place.FIDOKIT[0] == sys.executable
