"""Talks with one host, by programs in the place of ssh."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fleet.hosts.programs import BEGUN, request, sending, ssh, traveling
from tests.fleet.planning.audits import account, document, key_line
from tests.fleet.policy.policies import print_of

from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.conversation import audit_host
from fidokit.fleet.hosts.destinations import FleetHost
from fidokit.fleet.hosts.program import TravelingProgram

GOOD = document([account("ana", [key_line(print_of(1))])])
HOST = FleetHost("web1", "web1")


def audit(
    folder: Path,
    script: str = 'eval "$last"',
    program: TravelingProgram | None = None,
    **options: object,
) -> HostAudit:
    asked = request(program or sending(GOOD), ssh(folder, script), **options)
    return audit_host(HOST, asked, threading.Event())


def test_a_report_comes_through_the_noise_of_a_login(tmp_path: Path) -> None:
    found = audit(tmp_path, 'echo "Welcome!"; echo "mail for you" >&2; eval "$last"; echo bye')
    assert found == HostAudit("web1", HostState.CHECKED, GOOD, "", found.seconds)


def test_what_ssh_is_called_with(tmp_path: Path) -> None:
    at = FleetHost("web1", "ana@192.0.2.1", ("-p", "2222"), python="/opt/python")
    audit_host(at, request(sending(GOOD), ssh(tmp_path, "exit 255"), sudo=True), threading.Event())
    words = (tmp_path / "ssh.words").read_text().splitlines()
    assert words[:2] == ["-p", "2222"]
    assert "BatchMode=yes" in words
    assert "ForwardAgent=no" in words
    assert words[-3:-1] == ["--", "ana@192.0.2.1"]
    assert words[-1].startswith("sudo -n -- /opt/python -ISBc 'exec(")


@pytest.mark.parametrize(
    ("script", "state", "problem"),
    [
        (
            "echo 'ssh: connect to host web1 port 22: No route to host' >&2; exit 255",
            "down",
            "No route",
        ),
        ("exit 255", "down", "status 255"),
        ("echo 'ana@web1: Permission denied (publickey).' >&2; exit 255", "refused", "Permission"),
        ("echo 'Host key verification failed.' >&2; exit 255", "refused", "Host key"),
        ("echo 'sh: 1: python3: not found' >&2; exit 127", "no-python", "not found"),
        ("echo 'sudo: a password is required' >&2; exit 1", "refused", "a password"),
        ("echo 'This account is currently not available.'; exit 1", "failed", "status 1"),
        ("cat >/dev/null & exit 0", "failed", "status 0"),
    ],
)
def test_why_there_is_no_report(tmp_path: Path, script: str, state: str, problem: str) -> None:
    found = audit(tmp_path, script)
    assert (found.state, found.document) == (state, None)
    assert problem in found.problem


def test_a_host_that_is_killed_in_the_middle(tmp_path: Path) -> None:
    found = audit(tmp_path, 'eval "$last"; exit 255', traveling(BEGUN))
    assert (found.state, "in the middle" in found.problem) == (HostState.FAILED, True)


def test_a_defect_there_is_told(tmp_path: Path) -> None:
    found = audit(tmp_path, program=traveling("def main(request): raise ValueError('a defect')"))
    assert (found.state, found.problem) == (HostState.FAILED, "ValueError: a defect")


def test_time_is_limited_and_nothing_is_left(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! >{tmp_path}/pid; sleep 1000"
    found = audit(tmp_path, script, seconds=1)
    assert (found.state, found.problem) == (HostState.TIMED_OUT, "no report within 1 s")
    with suppress(ProcessLookupError):  # it is there until its new parent has seen that it ended
        while True:
            os.kill(int((tmp_path / "pid").read_text()), 0)
            os.sched_yield()


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    called = ssh(tmp_path, "sleep 1000")
    assert audit_host(HOST, request(sending(GOOD), called), stop).state is HostState.STOPPED


@pytest.mark.parametrize(
    "noise", ["printf %01000d 0", "cat /dev/zero", "printf '\\033[2J%01000d' 0"]
)
def test_endless_noise(tmp_path: Path, noise: str) -> None:
    found = audit(tmp_path, f"while :; do {noise}; done")
    assert found.state is HostState.HOSTILE
    assert "65,536 bytes" in found.problem


def test_endless_complaints_take_no_memory(tmp_path: Path) -> None:
    found = audit(tmp_path, "while :; do printf %01000d 0 >&2; done", seconds=1)
    assert found.state is HostState.TIMED_OUT


def test_an_endless_report(tmp_path: Path) -> None:
    endless = traveling(f"{BEGUN}    while True: sys.stdout.write('x' * 65536)\n")
    found = audit(tmp_path, program=endless, most_bytes=1 << 20)
    assert (found.state, found.problem) == (HostState.HOSTILE, "it sent more than 1,048,576 bytes")


def test_a_lying_report(tmp_path: Path) -> None:
    lying = {**GOOD, "tally": {**GOOD["tally"], "keys": 0}}
    found = audit(tmp_path, program=sending(lying))
    assert (found.state, found.document) == (HostState.HOSTILE, None)
    assert "contradicts itself" in found.problem


def test_errors_of_the_audit(tmp_path: Path) -> None:
    source = (
        "import json,sys\ndef main(r):\n n = json.loads(r)['nonce']\n"
        " sys.stdout.write('\\n%s error\\n{}\\n%s end\\n' % (n, n))"
    )
    good = source.replace("{}", '{"kind": "SshdMissing", "message": "there is no sshd"}')
    assert audit(tmp_path, program=traveling(good)).problem == "there is no sshd"
    assert audit(tmp_path, program=traveling(source)).state is HostState.HOSTILE


def test_an_old_python_and_one_that_takes_over(tmp_path: Path) -> None:
    """`python3` says that it is 3.7; a newer one by its own name reads on where that stopped."""
    old = "import sys; sys.version_info = (3, 7, 3); exec("
    old = f'last=$(printf %s "$last" | sed "s/exec(/{old}/")'
    named = f'PATH={tmp_path}/bin:/nowhere; eval "$last"'
    (tmp_path / "bin").mkdir()
    python = os.path.realpath(os.sys.executable)  # type: ignore[attr-defined]
    (tmp_path / "bin/python3").symlink_to(python)
    found = audit(tmp_path, f"{old}\n{named}")
    assert (found.state, found.problem) == (HostState.NO_PYTHON, "its python3 is 3.7")
    (tmp_path / "bin/python3.12").symlink_to(python)
    assert audit(tmp_path, f"{old}\n{named}").state is HostState.CHECKED


def test_ssh_that_is_not_there(tmp_path: Path) -> None:
    asked = request(sending(GOOD), str(tmp_path / "nothing"))
    found = audit_host(HOST, asked, threading.Event())
    assert found.state is HostState.FAILED
    assert "ssh cannot be run" in found.problem


def test_a_destination_that_ssh_does_not_reach(tmp_path: Path) -> None:
    at = FleetHost("win1", "win1", problem="its ansible_connection is winrm, not ssh")
    found = audit_host(at, request(sending(GOOD), ssh(tmp_path)), threading.Event())
    assert (found.state, found.problem) == (HostState.FAILED, at.problem)
    assert not (tmp_path / "ssh.words").exists()


def test_the_signal_that_ends_ssh_is_no_report(tmp_path: Path) -> None:
    found = audit(tmp_path, f"kill -{int(signal.SIGKILL)} $$")
    assert (found.state, found.document) == (HostState.FAILED, None)
