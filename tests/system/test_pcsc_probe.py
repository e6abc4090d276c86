"""pyscard, the daemon's socket, and the right to use it."""

from __future__ import annotations

from tests.system.machine import Machine

from fidokit.system import pcsc_probe
from fidokit.system.findings import Finding, Status


def probe(machine: Machine) -> Finding:
    (found,) = pcsc_probe.probe(machine.host())
    return found


def test_without_pyscard(machine: Machine) -> None:
    assert probe(machine).status is Status.WARN
    assert "pyscard" in probe(machine).sentence
    assert "fidokit[pcsc]" in probe(machine).hint


def test_without_a_daemon(machine: Machine) -> None:
    machine.modules.add("smartcard")
    assert probe(machine).status is Status.WARN
    assert "no PC/SC daemon" in probe(machine).sentence


def test_with_one(machine: Machine) -> None:
    machine.modules.add("smartcard")
    socket = machine.root / "run/pcscd/pcscd.comm"
    socket.parent.mkdir(parents=True)
    socket.write_bytes(b"")
    assert probe(machine) == Finding("pcsc", Status.OK, "the PC/SC daemon starts on demand")
    machine.process(9, "pcscd")
    assert probe(machine) == Finding("pcsc", Status.OK, "the PC/SC daemon runs")
    machine.forbidden.add(socket)
    assert probe(machine).status is Status.FAIL


def test_one_of_the_users_own(machine: Machine) -> None:
    machine.modules.add("smartcard")
    machine.environ["PCSCLITE_CSOCK_NAME"] = "/tmp/mine/pcscd.comm"
    assert "at /tmp/mine/pcscd.comm, where PCSCLITE_CSOCK_NAME says" in probe(machine).sentence
    socket = machine.root / "tmp/mine/pcscd.comm"
    socket.parent.mkdir(parents=True)
    socket.write_bytes(b"")
    assert probe(machine).status is Status.OK
    machine.forbidden.add(socket)
    assert "/tmp/mine/pcscd.comm" in probe(machine).sentence


def test_elsewhere_the_system_has_its_own(machine: Machine) -> None:
    machine.modules.add("smartcard")
    machine.platform = "darwin"
    assert probe(machine).status is Status.OK
