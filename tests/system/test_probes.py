"""What a probe says of an agent, of PC/SC and of folders with secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.machine import Machine

from fidokit.system import probes
from fidokit.system.probes import Finding, Status


def agent(machine: Machine, answer: bytes | OSError) -> Finding:
    machine.environ["SSH_AUTH_SOCK"] = "/run/agent"
    machine.agents = {"/run/agent": answer}
    (found,) = probes.probe_agent(machine.host())
    return found


def test_an_agent_that_answers(machine: Machine) -> None:
    assert agent(machine, b"\x0c\0\0\0\x02...").sentence.endswith("holds 2 keys")
    assert agent(machine, b"\x0c\0\0\0\x01...").sentence.endswith("holds 1 key")
    assert agent(machine, b"\x0c\0\0\0\0").status is Status.OK
    assert set(machine.requests) == {b"\x0b"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (FileNotFoundError(), "does not exist"),
        (PermissionError(), "may not talk"),
        (ConnectionRefusedError(), "has ended"),
        (TimeoutError(), "does not answer"),
        (ConnectionAbortedError(), "does not answer"),
        (b"", "no SSH agent"),
        (b"\x05", "no SSH agent"),
        (b"\x0c\0\0", "no SSH agent"),
        (b"HTTP/1.1", "no SSH agent"),
    ],
)
def test_what_goes_wrong_is_named(machine: Machine, answer: bytes | OSError, words: str) -> None:
    found = agent(machine, answer)
    assert found.status is Status.FAIL
    assert words in found.sentence
    assert found.hint


def test_no_agent(machine: Machine) -> None:
    (found,) = probes.probe_agent(machine.host())
    assert found.status is Status.WARN
    assert "SSH_AUTH_SOCK" in found.sentence


def pcsc(machine: Machine) -> Finding:
    (found,) = probes.probe_pcsc(machine.host())
    return found


def test_without_pyscard(machine: Machine) -> None:
    assert pcsc(machine).status is Status.WARN
    assert "pyscard" in pcsc(machine).sentence
    assert "fidokit[pcsc]" in pcsc(machine).hint


def test_without_a_daemon(machine: Machine) -> None:
    machine.modules.add("smartcard")
    assert pcsc(machine).status is Status.WARN
    assert "no PC/SC daemon" in pcsc(machine).sentence


def test_with_one(machine: Machine) -> None:
    machine.modules.add("smartcard")
    socket = machine.root / "run/pcscd/pcscd.comm"
    socket.parent.mkdir(parents=True)
    socket.write_bytes(b"")
    assert pcsc(machine) == Finding("pcsc", Status.OK, "the PC/SC daemon starts on demand")
    machine.process(9, "pcscd")
    assert pcsc(machine) == Finding("pcsc", Status.OK, "the PC/SC daemon runs")
    machine.forbidden.add(socket)
    assert pcsc(machine).status is Status.FAIL


def test_one_of_the_users_own(machine: Machine) -> None:
    machine.modules.add("smartcard")
    machine.environ["PCSCLITE_CSOCK_NAME"] = "/tmp/mine/pcscd.comm"
    assert "at /tmp/mine/pcscd.comm, where PCSCLITE_CSOCK_NAME says" in pcsc(machine).sentence
    socket = machine.root / "tmp/mine/pcscd.comm"
    socket.parent.mkdir(parents=True)
    socket.write_bytes(b"")
    assert pcsc(machine).status is Status.OK
    machine.forbidden.add(socket)
    assert "/tmp/mine/pcscd.comm" in pcsc(machine).sentence


def test_elsewhere_the_system_has_its_own(machine: Machine) -> None:
    machine.modules.add("smartcard")
    machine.platform = "darwin"
    assert pcsc(machine).status is Status.OK


def ssh_folder(machine: Machine, mode: int) -> Path:
    folder = machine.root / "home/.ssh"
    folder.mkdir(parents=True)
    folder.chmod(mode)
    return folder


def test_nothing_there_is_fine(machine: Machine) -> None:
    assert probes.probe_folders(machine.host()) == []


@pytest.mark.parametrize(
    ("mode", "status"),
    [(0o700, Status.OK), (0o500, Status.OK), (0o750, Status.WARN), (0o701, Status.WARN)],
)
def test_modes(machine: Machine, mode: int, status: Status) -> None:
    folder = ssh_folder(machine, mode)
    (found,) = probes.probe_folders(machine.host())
    assert (found.check, found.status) == ("ssh-folder", status)
    assert str(folder) in found.sentence


def test_somebody_elses_folder(machine: Machine) -> None:
    ssh_folder(machine, 0o700)
    host = machine.host()
    (found,) = probes.probe_folders(replace(host, user_id=host.user_id + 1))
    assert found.status is Status.FAIL
    assert "another user" in found.sentence


def test_a_file_in_its_place(machine: Machine) -> None:
    (machine.root / "state").mkdir()
    machine.environ["XDG_STATE_HOME"] = str(machine.root / "state")
    (machine.root / "state/fidokit").write_bytes(b"")
    (found,) = probes.probe_folders(machine.host())
    assert (found.check, found.status) == ("state-folder", Status.FAIL)


def test_where_state_lives(machine: Machine) -> None:
    home = machine.root / "home"
    assert machine.host().state_folder == home / ".local/state/fidokit"
    machine.environ["XDG_STATE_HOME"] = "relative"
    assert machine.host().state_folder == home / ".local/state/fidokit"
    machine.environ["XDG_STATE_HOME"] = "/var/s"
    assert machine.host().state_folder == Path("/var/s/fidokit")
