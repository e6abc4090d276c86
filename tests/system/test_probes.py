"""What a probe says of PC/SC, and of folders and files with secrets."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.system.machine import Machine

from fidokit.system import probes
from fidokit.system.probes import Finding, Status


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


PRIVATE = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA"


def put(folder: Path, name: str, content: bytes, mode: int) -> Path:
    path = folder / name
    path.write_bytes(content)
    path.chmod(mode)
    return path


def keys(machine: Machine) -> list[Finding]:
    return [f for f in probes.probe_folders(machine.host()) if f.check == "private-key-mode"]


def test_private_keys_that_others_may_read_are_named_with_what_mends_them(machine: Machine) -> None:
    folder = ssh_folder(machine, 0o700)
    bad = [put(folder, f"id {mode:o}", PRIVATE, mode) for mode in (0o601, 0o620, 0o640, 0o644)]
    bad.append(put(folder, "id_old", b"-----BEGIN RSA PRIVATE KEY-----\n", 0o604))
    for name, content, mode in (
        ("id_good", PRIVATE, 0o600),
        ("id_read", PRIVATE, 0o400),
        ("id.pub", b"ssh-ed25519 AAAA", 0o644),
        ("config", b"# -----BEGIN OPENSSH PRIVATE KEY-----", 0o644),
        ("empty", b"", 0o644),
    ):
        put(folder, name, content, mode)
    os.mkfifo(folder / "pipe", 0o644)
    (folder / "loop").symlink_to("loop")
    (folder / "folder").mkdir()
    (found,) = keys(machine)
    assert found.status is Status.FAIL
    assert all(str(path) in found.sentence for path in bad)
    assert found.sentence.count(str(folder)) == len(bad)
    subprocess.run(["sh", "-c", found.hint.strip("`")], check=True)
    assert keys(machine) == []


def test_keys_of_others_are_not_refused_by_ssh(machine: Machine) -> None:
    put(ssh_folder(machine, 0o700), "id", PRIVATE, 0o644)
    host = machine.host()
    found = probes.probe_folders(replace(host, user_id=host.user_id + 1))
    assert "private-key-mode" not in {finding.check for finding in found}
