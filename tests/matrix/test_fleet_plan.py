"""`fleet init` and `fleet plan` of real sshds: what is there plans to nothing, a change shows."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.fleet_lab import FleetLab, LabHost, file_line, fleet_lab, token_line
from tests.support.roots import required

pytestmark = [pytest.mark.interop, pytest.mark.root]
ALICE, BOB = token_line(1, "alice@laptop"), file_line(1, "bob")
HOSTS = ["web00", "web01"]
PATIENT = "-o ConnectionAttempts=30"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetLab]:
    root = required("trixie")
    keys = {"alice": [ALICE], "bob": [BOB]}
    with fleet_lab(
        tmp_path_factory.mktemp("lab"), [LabHost(name, root, keys) for name in HOSTS]
    ) as made:
        yield made


def run(lab: FleetLab, verb: str, *words: str, code: int = 0) -> str:
    """Run a verb of `fleet` with the lab's ssh; what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "fidokit", "fleet", verb, "--ssh", f"{lab.ssh} {PATIENT}", *words],
        env=os.environ | {"XDG_STATE_HOME": str(lab.folder / "state"), "HOME": str(lab.folder)},
        cwd=lab.folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout


def on(lab: FleetLab, host: str, script: str) -> None:
    """Run a shell command there."""
    subprocess.run([*shlex.split(lab.ssh), host, script], check=True, timeout=60)


def steps(text: str) -> list[tuple[str, str, str]]:
    found: dict[str, Any] = json.loads(text)["plan"]
    return [
        (host["host"], action["kind"], action["account"])
        for host in found["hosts"]
        for action in host["actions"]
    ]


def test_what_is_there_plans_to_nothing_and_what_changes_is_named(lab: FleetLab) -> None:
    for host in HOSTS:  # a file written in the second in which sshd read it leaves a doubt
        on(lab, host, "kill -HUP 1")
    assert "2 hosts" in run(lab, "init", *HOSTS)
    text = (lab.folder / "policy.toml").read_text()
    assert "[people.alice]" in text
    assert "exclusive = true" in text
    assert 'require = ["no-password"]' in text
    assert run(lab, "plan") == "2 hosts: as the policy states\n"
    stranger = file_line(9, "stranger")
    on(lab, "web00", f"echo '{stranger}' >>/home/alice/.ssh/authorized_keys")
    on(lab, "web01", "rm /home/bob/.ssh/authorized_keys")
    assert steps(run(lab, "plan", "--json", code=10)) == [
        ("web00", "revoke", "alice"),
        ("web01", "authorize", "bob"),
    ]
