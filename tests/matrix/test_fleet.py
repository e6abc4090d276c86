"""`fidokit fleet check` of 50 sshds: three Debian releases, different users, all kinds of faults.

Each host has a userland, processes and an sshd of its own. What the check of all but the slow one
took is printed (`pytest -s`, or benchmarks); no test judges by it.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.fleet_lab import FleetLab, LabHost, file_line, fleet_lab, token_line
from tests.support.roots import RELEASES, Root, required

pytestmark = [pytest.mark.interop, pytest.mark.root]
SUITES = [suite for suite in RELEASES if suite != "bookworm"]
GOOD = 43
HOSTS = 50
ALICE, BOB = token_line(1, "alice@laptop"), file_line(1, "bob")
PROGRAM = "/usr/local/bin/python3"
NOISE = """echo 'printf "\\033[2J"; echo Welcome' >/etc/profile.d/noise.sh
echo 'echo hello' >/root/.bashrc
"""
HOSTILE = "\x1b]0;owned\x07\x1b[2J<script>alert(1)</script>"


def python_there(script: str) -> str:
    """Shell commands that put a program in the place of python3."""
    text = shlex.quote(f"#!/bin/sh\n{script}")
    return f"printf %s {text} >{PROGRAM}\nchmod 755 {PROGRAM}"


FRAME = "nonce=$(head -c 4096 | grep -ao '[0-9a-f]\\{32\\}' | head -n 1)\n"
REPORT = FRAME + 'printf "\\n%s document\\n" "$nonce"\n'
OLD = 'shift; exec /usr/bin/python3 -ISBc "import sys; sys.version_info = (3, 7, 3); $*"'
FAULTS = {
    "killed": python_there(REPORT + "head -c 4000000 /dev/zero\nkill -9 -1"),
    "endless": python_there("exec cat /dev/zero"),
    "flood": python_there(REPORT + "exec cat /dev/zero"),
    "liar": python_there(
        REPORT + 'printf \'{"schema": 2, "users": []}\\n%s end\\n\' "$nonce"\nsleep 1'
    ),
    "nothing": "rm -f /usr/bin/python3*",
}
STATES = {
    "killed": "failed",
    "endless": "hostile",
    "flood": "hostile",
    "liar": "hostile",
    "nothing": "no-python",
    "away": "down",
}


def good_hosts(roots: list[Root]) -> Iterator[LabHost]:
    """Hosts whose users differ; the last ones have odd ones."""
    for number in range(GOOD):
        keys = {"alice": [ALICE], "bob": [BOB] if number % 4 else []}
        passwords = ["carol"] if number % 10 == 0 else []
        script = ""
        if number == 7:
            keys["mallory"] = [file_line(666, HOSTILE)]
        if number == 8:
            keys["dora"] = [f'from="192.0.2.0/24" {token_line(2, "dora")}']
        if number == 9:  # noisy login files
            script = NOISE
        yield LabHost(f"web{number:02}", roots[number % len(roots)], keys, passwords, script)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetLab]:
    roots = [required(suite) for suite in SUITES]
    bullseye = roots[SUITES.index("bullseye")]
    hosts = [*good_hosts(roots)]
    hosts += [
        LabHost(name, roots[number % len(roots)], script=script)
        for number, (name, script) in enumerate(FAULTS.items())
    ]
    hosts.append(LabHost("old", bullseye, script=python_there(OLD)))
    hosts.append(LabHost("slow", roots[0], script=python_there("exec sleep 1000")))
    assert len(hosts) == HOSTS
    with fleet_lab(tmp_path_factory.mktemp("lab"), hosts, down=["away"]) as made:
        yield made


def check(lab: FleetLab, *words: str, code: int = 0) -> str:
    """Run the command; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "fidokit", "fleet", "check", "--ssh", lab.ssh, *words],
        env=os.environ | {"XDG_STATE_HOME": str(lab.folder / "state"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def report(lab: FleetLab) -> dict[str, Any]:
    """All but the slow one."""
    names = [name for name in lab.processes if name != "slow"] + ["away"]
    (lab.folder / "hosts").write_text("\n".join(names))
    began = time.monotonic()
    text = check(lab, "--inventory", str(lab.folder / "hosts"), "--json")
    print(f"\nfleet check of {len(names)} hosts: {time.monotonic() - began:.1f} s")
    found: dict[str, Any] = json.loads(text)["fleet"]
    return found


def test_each_fault_is_a_row_and_no_end(report: dict[str, Any]) -> None:
    states = {host["host"]: host["state"] for host in report["hosts"]}
    assert len(states) == HOSTS
    assert {name: states[name] for name in STATES} == STATES
    assert [n for n, state in states.items() if state == "checked"] == [
        "old",
        *(f"web{number:02}" for number in range(GOOD)),
    ]
    problems = {host["host"]: host["problem"] for host in report["hosts"]}
    assert "in the middle" in problems["killed"]
    assert "65,536 bytes that are not a report" in problems["endless"]
    assert "more than 16,777,216 bytes" in problems["flood"]
    assert "schema 2" in problems["liar"]
    assert "python3" in problems["nothing"]
    assert "Connection refused" in problems["away"]


def test_who_gets_in_where(report: dict[str, Any]) -> None:
    keys = {key["comment"]: key for key in report["keys"]}
    alice = keys["alice@laptop"]
    assert (alice["way"], alice["type"], alice["hosts"]) == ("token-key", "ED25519-SK", GOOD)
    assert keys["bob"]["hosts"] == sum(number % 4 > 0 for number in range(GOOD))
    assert (keys["admin"]["hosts"], keys["admin"]["accounts"]) == (GOOD + 1, ["root"])
    assert keys[HOSTILE]["example"] == "web07"
    by_host = {host["host"]: host["logins"] for host in report["hosts"]}
    passwords = [n for n, found in by_host.items() if any(w["way"] == "password" for w in found)]
    assert passwords == [f"web{number:02}" for number in range(0, GOOD, 10)]
    (dora,) = [one for one in by_host["web08"] if one["account"] == "dora"]
    assert dora["options"] == ["from"]


def test_a_slow_host_is_past_its_time_and_nothing_changed_on_the_others(
    lab: FleetLab, report: dict[str, Any]
) -> None:
    text = check(lab, "slow", "web00", "web01", "web07", "--timeout", "30", "--long")
    assert "slow  timed-out: no report within 30 s" in text
    assert "Nothing changed" in text
    assert "<script>alert(1)</script>" in text
    assert "\\x1b]0;owned" in text


def test_nothing_is_left_there(lab: FleetLab, report: dict[str, Any]) -> None:
    """Neither files nor processes, on hosts that were checked and on the one that was cut off."""
    look = "ls -A /tmp /var/tmp /run/sshd; ps -e 2>/dev/null || true"
    for name in ("web00", "web01", "web02", "flood", "slow"):
        said = subprocess.run(
            [*shlex.split(lab.ssh), name, look],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        assert "fidokit" not in said
        assert "python" not in said
        assert "cat" not in said.split()


def test_rules_are_held_to_each(lab: FleetLab) -> None:
    text = check(lab, "web00", "web04", "--require", "no-password", "--json", code=10)
    holds = {host["host"]: host["holds"] for host in json.loads(text)["fleet"]["hosts"]}
    assert holds == {"web00": False, "web04": True}


def test_what_changes_is_seen(lab: FleetLab, report: dict[str, Any]) -> None:
    add = f"echo '{file_line(9, 'new')}' >>/root/.ssh/authorized_keys"
    subprocess.run([*shlex.split(lab.ssh), "web05", add], check=True, timeout=60)
    assert "+ root@web05 file-key" in check(lab, "web05", "web06")


def test_by_a_jump_host_and_shared_connections(lab: FleetLab, tmp_path: Path) -> None:
    """The user's own configuration of ssh counts, and the first login is used again."""
    config = tmp_path / "config"
    with tempfile.TemporaryDirectory(prefix="fc-", dir="/tmp") as sockets:  # a short name
        shared = f"ControlMaster auto\n    ControlPath {sockets}/%C\n    ControlPersist 60"
        config.write_text(
            f"Host web1*\n    ProxyJump web00\nHost *\n    {shared}\n{lab.config.read_text()}"
        )
        names = ["web10", "web11", "web12"]
        before = logins(lab, "web00"), logins(lab, "web10")
        try:
            for _ in range(2):
                text = check(lab, "--ssh", f"ssh -F {config}", *names, "--json")
                states = {one["host"]: one["state"] for one in json.loads(text)["fleet"]["hosts"]}
                assert states == dict.fromkeys(names, "checked")
            assert logins(lab, "web00") > before[0]
            assert logins(lab, "web10") == before[1] + 1
        finally:
            for name in [*names, "web00"]:
                stop = ["ssh", "-F", str(config), "-O", "exit", name]
                subprocess.run(stop, capture_output=True, timeout=60, check=False)


def logins(lab: FleetLab, name: str) -> int:
    """How many there were on a host."""
    return (lab.folder / f"{name}.log").read_text(errors="replace").count("Accepted publickey")
