"""What `ssh -V` and `ssh -G` print."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.system.machine import Machine

from fidokit.system import openssh_programs
from fidokit.system.openssh_programs import client_settings
from fidokit.system.probes import Status


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("OpenSSH_9.2p1 Debian-2+deb12u3, OpenSSL 3.0.15 3 Sep 2024\n", (9, 2)),
        ("OpenSSH_8.2p1 Ubuntu-4ubuntu0.5, OpenSSL 1.1.1f", (8, 2)),
        ("OpenSSH_10.0p2, LibreSSL 3.3.6", (10, 0)),
        ("OpenSSH_for_Windows_9.5p1, LibreSSL 3.8.2", (9, 5)),
        ("OpenSSH_10.5", (10, 5)),
        ("dropbear 2022.83", None),
        ("", None),
        ("OpenSSH_" + "9" * 5000, None),
    ],
)
def test_versions(banner: str, version: tuple[int, int] | None) -> None:
    assert openssh_programs.parse_version(banner) == version


@pytest.mark.parametrize(
    ("version", "lacking", "status"),
    [("8.1", 4, Status.FAIL), ("8.2", 2, Status.WARN), ("8.4", 1, Status.WARN)],
)
def test_old_versions(machine: Machine, version: str, lacking: int, status: Status) -> None:
    machine.programs["ssh", "-V"] = f"OpenSSH_{version}p1"
    major, minor = map(int, version.split("."))
    assert len(openssh_programs.missing((major, minor))) == lacking
    assert openssh_programs.probe(machine.host())[0].status is status


def helper(machine: Machine) -> None:
    path = machine.root / "usr/lib/openssh/ssh-sk-helper"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")


def test_a_new_one(machine: Machine) -> None:
    helper(machine)
    machine.programs["ssh", "-V"] = "OpenSSH_9.9p1"
    assert [f.status for f in openssh_programs.probe(machine.host())] == [Status.OK]


def test_the_helper_is_packaged_apart(machine: Machine) -> None:
    machine.programs["ssh", "-V"] = "OpenSSH_9.9p1"
    found = openssh_programs.probe(machine.host())
    assert [f.check for f in found] == ["openssh", "ssh-sk-helper"]
    assert found[1].status is Status.WARN


def test_none_installed(machine: Machine) -> None:
    (found,) = openssh_programs.probe(machine.host())
    assert found.status is Status.FAIL
    assert "not installed" in found.sentence
    assert "apt install" in found.hint


def test_something_else_under_that_name(machine: Machine) -> None:
    machine.programs["ssh", "-V"] = "dropbear"
    assert openssh_programs.probe(machine.host())[0].status is Status.WARN


def test_settings_of_the_client_keep_every_value_in_its_order(tmp_path: Path) -> None:
    script = tmp_path / "ssh"
    script.write_text("#!/bin/sh\nprintf 'user anna\\nidentityfile a b\\nidentityfile c\\n'\n")
    script.chmod(0o755)
    assert client_settings("-x", (str(script),)) == {"user": ["anna"], "identityfile": ["a b", "c"]}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 'line 3: bad' >&2; exit 255", "ssh refuses its configuration: line 3: bad"),
        ("exit 1", "ssh refuses its configuration: without a reason"),
    ],
)
def test_a_client_that_refuses_its_configuration_is_quoted(
    tmp_path: Path, body: str, said: str
) -> None:
    script = tmp_path / "ssh"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    assert client_settings("host", (str(script),)) == said
