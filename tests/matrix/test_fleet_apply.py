"""`fidokit fleet apply` on sshds of three Debian releases: carried out, proved, stopped, undone."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.agent_host import Host, make_host, serving, sk_key, virtual_token
from tests.support.children import popen
from tests.support.fleet_lab import FleetLab, LabHost, file_line, fleet_lab, token_line
from tests.support.roots import RELEASES, required

from fidokit.fleet.hosts.program import TravelingProgram, far_command

pytestmark = [pytest.mark.interop, pytest.mark.root]
SUITES = [suite for suite in RELEASES if suite != "bookworm"]
ALICE, OLD = token_line(1, "alice@laptop"), file_line(1, "old")
HOSTS = ("web0", "web1", "web2", "odd")
POLICY = """schema = 1
[people.admin]
keys = ["{admin}"]
[people.alice]
keys = ["{alice}"]
[[hosts]]
match = ["*"]
let-in = {{ root = ["admin"], alice = ["alice"] }}
break-glass = ["root:{glass}"]
exclusive = true
{more}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[FleetLab]:
    roots = [required(suite) for suite in SUITES]
    hosts = [
        LabHost(name, roots[number % len(roots)], {"alice": [OLD]}, passwords=["carol"])
        for number, name in enumerate(HOSTS)
    ]
    with fleet_lab(tmp_path, hosts, down=["away"]) as made:
        yield made


@pytest.fixture
def write_policy(lab: FleetLab) -> Callable[..., Path]:
    def write(more: str = "") -> Path:
        said = subprocess.run(
            ["ssh-keygen", "-lf", lab.folder / "admin.pub"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        text = POLICY.format(admin=lab.admin, alice=ALICE, glass=said.split()[1], more=more)
        path = lab.folder / "policy.toml"
        path.write_text(text)
        return path

    return write


def apply(lab: FleetLab, *words: str, code: int = 0) -> dict[str, Any]:
    """Run the command; the JSON that it prints, by host."""
    policy = [] if "--undo" in words else ["--policy", str(lab.folder / "policy.toml")]
    command = ["fidokit", "--json", "fleet", "apply", "--ssh", lab.ssh, *policy, "--yes"]
    done = subprocess.run(
        [sys.executable, "-m", *command, *words],
        env=os.environ | {"XDG_STATE_HOME": str(lab.folder / "state"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == code, done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    return {one["host"]: one for one in json.loads(done.stdout)["applied"]["hosts"]}


def states(rows: dict[str, Any]) -> dict[str, str]:
    return {name: row["state"] for name, row in rows.items()}


def on(lab: FleetLab, name: str, command: str) -> str:
    return subprocess.run(
        [*shlex.split(lab.ssh), name, command],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about")


def keys(lab: FleetLab, name: str) -> str:
    return on(lab, name, "cat /home/alice/.ssh/authorized_keys")


def test_a_policy_is_carried_out_and_taken_back(
    lab: FleetLab, write_policy: Callable[..., Path]
) -> None:
    write_policy()
    before = {name: keys(lab, name) for name in HOSTS}
    dry = apply(lab, *HOSTS, "--dry-run", code=10)
    assert set(states(dry).values()) == {"planned"}
    assert {name: keys(lab, name) for name in HOSTS} == before
    done = apply(lab, *HOSTS)
    assert states(done) == dict.fromkeys(HOSTS, "done")
    assert next(iter(done)) == HOSTS[0]
    kinds = [action["kind"] for action in done["web0"]["actions"]]
    assert kinds == ["authorize", "revoke"]
    for name in HOSTS:
        assert keys(lab, name) == f"{ALICE}\n"
    again = apply(lab, *HOSTS)
    assert states(again) == dict.fromkeys(HOSTS, "nothing")
    assert states(apply(lab, "--undo", "web1")) == {"web1": "undone"}
    assert keys(lab, "web1") == before["web1"]
    undone = apply(lab, "--undo")
    assert states(undone) == dict.fromkeys(set(HOSTS) - {"web1"}, "undone")
    assert {name: keys(lab, name) for name in HOSTS} == before
    assert apply(lab, "--undo") == {}


# --- what goes wrong -------------------------------------------------------------------------


def test_a_canary_on_which_sshd_refuses_the_key_stops_it(
    lab: FleetLab, write_policy: Callable[..., Path]
) -> None:
    write_policy()
    before = keys(lab, "web0")
    on(lab, "web0", "chmod 777 /home/alice")
    done = apply(lab, "web1", "web0", "web2", "--canary", "web0", code=10)
    assert states(done) == {"web0": "failed", "web1": "not-tried", "web2": "not-tried"}
    assert "everything was taken back" in done["web0"]["problem"]
    assert keys(lab, "web0") == before
    on(lab, "web0", "chmod 755 /home/alice")
    assert set(states(apply(lab, "web0", "web1", "web2")).values()) == {"done"}


def test_who_takes_their_own_key_out_finds_it_back(
    lab: FleetLab, write_policy: Callable[..., Path]
) -> None:
    """A new login does not work, so that the host takes the steps back that shut it out."""
    path = write_policy()
    text = path.read_text().replace(lab.admin, token_line(5, "other"))
    glass = f"{token_line(3, 'glass')}"
    on(lab, "web0", f"echo {shlex.quote(glass)} >>/root/.ssh/authorized_keys")
    path.write_text("\n".join(line for line in text.splitlines() if "break-glass" not in line))
    before = on(lab, "web0", "cat /root/.ssh/authorized_keys")
    done = apply(lab, "web0", code=10)
    assert states(done) == {"web0": "failed"}
    assert "a new login did not work" in done["web0"]["problem"]
    assert "everything was taken back" in done["web0"]["problem"]
    assert on(lab, "web0", "cat /root/.ssh/authorized_keys") == before


def test_a_connection_that_ends_in_between_takes_the_steps_back(lab: FleetLab) -> None:
    before = keys(lab, "web0")
    step = {"kind": "authorize", "account": "alice", "public_line": ALICE}
    asked = json.dumps({"nonce": "n" * 32, "seconds": 60, "steps": [step]})
    process = popen(
        [*shlex.split(lab.ssh), "-T", "web0", far_command()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(
        TravelingProgram.packed("fidokit.cli.far_side.steps").input("n" * 32, asked)
    )
    process.stdin.flush()
    while b" end\n" not in process.stdout.readline():
        assert process.poll() is None
    assert ALICE in keys(lab, "web0")
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()
    wait_until(lambda: keys(lab, "web0") == before)


def test_what_somebody_changed_since_is_left_as_it_is(
    lab: FleetLab, write_policy: Callable[..., Path]
) -> None:
    write_policy()
    apply(lab, "web0", "web1")
    on(lab, "web1", "echo '# mine' >>/home/alice/.ssh/authorized_keys")
    undone = apply(lab, "--undo", code=10)
    assert states(undone) == {"web1": "failed", "web0": "undone"}
    assert "was changed since" in undone["web1"]["problem"]
    assert keys(lab, "web1").endswith("# mine\n")


# --- hardening -------------------------------------------------------------------------------


@pytest.fixture
def token_admin(tmp_path: Path) -> Iterator[Host]:
    """An agent with a key on a virtual token, touched by itself."""
    host = make_host(tmp_path / "home")
    virtual_token(host)
    sk_key(host, "admin", "-t", "ed25519-sk")
    with serving(host):
        host.add(host.home / "admin")
        yield host


def test_hosts_are_hardened_and_softened_again(
    lab: FleetLab, write_policy: Callable[..., Path], token_admin: Host
) -> None:
    public = (token_admin.home / "admin.pub").read_text().strip()
    for name in HOSTS:
        on(lab, name, f"echo {shlex.quote(public)} >>/root/.ssh/authorized_keys")
    config = lab.config.read_text()
    path = write_policy('require = ["hardware", "no-password"]')
    path.write_text(path.read_text().replace(lab.admin, public))
    glass = token_admin.run("ssh-keygen", "-lf", "admin.pub").stdout.decode().split()[1]
    path.write_text(re.sub('root:SHA256:[^"]+', f"root:{glass}", path.read_text()))
    lab.config.write_text(
        config.replace(f"{lab.folder}/admin\n", f"{token_admin.home}/admin.pub\n")
        + f"    IdentityAgent {token_admin.socket}\n"
    )
    before = {name: on(lab, name, "sshd -T") for name in HOSTS}
    done = apply(lab, *HOSTS, code=10)  # whether the token asks for a touch, a login alone shows
    assert states(done) == dict.fromkeys(HOSTS, "done")
    kinds = [action["kind"] for action in done["web0"]["actions"]]
    assert kinds == ["authorize", "revoke", "revoke", "harden"]
    assert [remark["kind"] for remark in done["web0"]["remarks"]] == ["doubt"]
    for name in HOSTS:
        assert "passwordauthentication no" in on(lab, name, "sshd -T").lower()
    assert set(states(apply(lab, "--undo")).values()) == {"undone"}
    assert {name: on(lab, name, "sshd -T") for name in HOSTS} == before
