"""Folders with secrets are their owner's alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.machine import Machine

from fidokit.system import state_probe
from fidokit.system.findings import Status


def ssh_folder(machine: Machine, mode: int) -> Path:
    folder = machine.root / "home/.ssh"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    return folder


def test_nothing_there_is_fine(machine: Machine) -> None:
    assert state_probe.probe(machine.host()) == []


@pytest.mark.parametrize(
    ("mode", "status"),
    [(0o700, Status.OK), (0o500, Status.OK), (0o750, Status.WARN), (0o701, Status.WARN)],
)
def test_modes(machine: Machine, mode: int, status: Status) -> None:
    folder = ssh_folder(machine, mode)
    (found,) = state_probe.probe(machine.host())
    assert (found.check, found.status) == ("ssh-folder", status)
    assert str(folder) in found.sentence


def test_somebody_elses_folder(machine: Machine) -> None:
    ssh_folder(machine, 0o700)
    host = machine.host()
    (found,) = state_probe.probe(replace(host, user_id=host.user_id + 1))
    assert found.status is Status.FAIL
    assert "another user" in found.sentence


def test_a_file_in_its_place(machine: Machine) -> None:
    (machine.root / "state").mkdir()
    machine.environ["XDG_STATE_HOME"] = str(machine.root / "state")
    (machine.root / "state/fidokit").write_bytes(b"")
    (found,) = state_probe.probe(machine.host())
    assert (found.check, found.status) == ("state-folder", Status.FAIL)


def test_where_state_lives(machine: Machine) -> None:
    home = machine.root / "home"
    assert state_probe.state_folder(machine.host()) == home / ".local/state/fidokit"
    machine.environ["XDG_STATE_HOME"] = "relative"
    assert state_probe.state_folder(machine.host()) == home / ".local/state/fidokit"
    machine.environ["XDG_STATE_HOME"] = "/var/s"
    assert state_probe.state_folder(machine.host()) == Path("/var/s/fidokit")
