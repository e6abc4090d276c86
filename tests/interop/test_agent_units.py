"""`fidokit agent units` under a user's real systemd: installed, started by a client, killed and
removed, beside the unit that Debian 13's openssh-client enables."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.booted import Booted, booted

pytestmark = [pytest.mark.interop, pytest.mark.root]

USER, UID = "alice", 64_410
RUNTIME = f"/run/user/{UID}"
OURS = f"{RUNTIME}/fidokit/agent.sock"
MANAGER = f"""\
[Service]
Type=notify
User={USER}
Environment=XDG_RUNTIME_DIR={RUNTIME} HOME=/home/{USER} PATH=/home/{USER}/bin:/usr/bin:/bin
ExecStart=/usr/lib/systemd/systemd --user
Delegate=yes
KillMode=mixed
"""
LOG = f"/home/{USER}/agent.log"
TO_A_FILE = f"""\
[Service]
StandardError=append:{LOG}
"""
OPENSSH = Path("/usr/lib/systemd/user/ssh-agent.socket")
"""Enabled for each user where the package has it (Debian 13)."""
LIKE_OPENSSH = """\
[Service]
ExecStart=/usr/bin/ssh-agent -D -a %t/openssh_agent
ExecStartPost=/bin/sh -c 'until [ -S %t/openssh_agent ]; do :; done'
ExecStartPost=/usr/bin/systemctl --user set-environment SSH_AUTH_SOCK=%t/openssh_agent
"""
"""A service of the same name for releases whose ssh-agent takes no socket from systemd."""


@dataclass(frozen=True)
class Desktop:
    """A user's systemd, and commands that the user runs."""

    machine: Booted

    def tried(self, *command: str) -> subprocess.CompletedProcess[str]:
        env = f"HOME=/home/{USER} XDG_RUNTIME_DIR={RUNTIME} PATH=/home/{USER}/bin:/usr/bin:/bin"
        become = f"cd /home/{USER} && exec setpriv --reuid {UID} --regid {UID} --clear-groups"
        words = f"{become} env -i {env} LANG=C.UTF-8 {shlex.join(command)}"
        return self.machine.tried("sh", "-c", words)

    def run(self, *command: str) -> str:
        done = self.tried(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr, self.log())
        return done.stdout

    def fidokit(self, *words: str) -> str:
        return self.run("fidokit", *words)

    def state(self, unit: str) -> str:
        return self.tried("systemctl", "--user", "is-active", unit).stdout.strip()

    def variable(self) -> str:
        """SSH_AUTH_SOCK of programs that are started from now on; empty where there is none."""
        said = self.run("systemctl", "--user", "show-environment").splitlines()
        found = [line.partition("=")[2] for line in said if line.startswith("SSH_AUTH_SOCK=")]
        return found[0] if found else ""

    def listed(self, socket: str = OURS) -> str:
        """What ssh-add lists."""
        done = self.tried("env", f"SSH_AUTH_SOCK={socket}", "ssh-add", "-l")
        assert done.returncode == 0 or "no identities" in done.stdout, (done, self.log())
        return done.stdout

    def log(self) -> str:
        """What the agent said; the machine has no journal."""
        status = self.tried("systemctl", "--user", "status", "--full", "fidokit-agent.service")
        return status.stdout + self.tried("cat", LOG).stdout


@pytest.fixture
def desktop() -> Iterator[Desktop]:
    with booted() as machine:
        machine.run("groupadd", "-g", str(UID), USER)
        machine.run("useradd", "-u", str(UID), "-g", str(UID), "-M", USER)
        for folder in (f"/home/{USER}", f"/home/{USER}/bin", f"/home/{USER}/.ssh", RUNTIME):
            machine.run("install", "-d", "-m", "700", "-o", USER, "-g", USER, folder)
        program = Path(sys.executable).with_name("fidokit")
        machine.run("ln", "-s", program, f"/home/{USER}/bin/fidokit")
        machine.write("/etc/systemd/user/fidokit-agent.service.d/log.conf", TO_A_FILE)
        machine.unit("manager.service", MANAGER)
        machine.run("systemctl", "start", "manager.service")
        yield Desktop(machine)


def test_installed_used_killed_removed(desktop: Desktop) -> None:
    desktop.tried("systemctl", "--user", "stop", "ssh-agent.socket")  # Debian 13 has started it
    desktop.run("systemctl", "--user", "unset-environment", "SSH_AUTH_SOCK")
    desktop.fidokit("agent", "units", "--install")
    assert desktop.state("fidokit-agent.socket") == "active"
    assert desktop.state("fidokit-agent.service") == "inactive", "no client yet"
    assert desktop.variable() == OURS
    mode = desktop.run("stat", "-c", "%a", OURS, f"{RUNTIME}/fidokit").split()
    assert mode == ["600", "700"]

    assert "no identities" in desktop.listed()
    assert desktop.state("fidokit-agent.service") == "active"
    desktop.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"/home/{USER}/.ssh/k")
    desktop.run("env", f"SSH_AUTH_SOCK={OURS}", "ssh-add", "-q", f"/home/{USER}/.ssh/k")
    assert "ED25519" in desktop.listed()

    show = ("systemctl", "--user", "show", "-P", "MainPID", "fidokit-agent.service")
    before = desktop.run(*show).strip()
    desktop.run("kill", "-9", before)
    assert "no identities" in desktop.listed(), "its next client starts it again"
    assert desktop.run(*show).strip() != before

    again = desktop.fidokit("agent", "units", "--install")
    assert desktop.variable() == OURS, again
    desktop.fidokit("agent", "units", "--remove")
    for name in ("socket", "service"):
        assert desktop.state(f"fidokit-agent.{name}") != "active"
        unit = f"/home/{USER}/.config/systemd/user/fidokit-agent.{name}"
        assert desktop.tried("test", "-e", unit).returncode == 1
    assert desktop.variable() == ""


def test_beside_the_unit_of_openssh(desktop: Desktop) -> None:
    """Both set the variable; ours is the one that counts, and serves the other's keys."""
    theirs = f"{RUNTIME}/openssh_agent"
    unit = "ssh-agent.socket"
    if not OPENSSH.exists():
        unit = "ssh-agent.service"
        desktop.machine.write(f"/etc/systemd/user/{unit}", LIKE_OPENSSH)
        desktop.run("systemctl", "--user", "daemon-reload")
    desktop.run("systemctl", "--user", "start", unit)
    assert desktop.variable() == theirs
    desktop.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"/home/{USER}/.ssh/k")
    desktop.run("env", f"SSH_AUTH_SOCK={theirs}", "ssh-add", "-q", f"/home/{USER}/.ssh/k")

    desktop.fidokit("agent", "units", "--install")
    assert desktop.variable() == OURS
    assert "ED25519" in desktop.listed(), "theirs are served by ours"
    units = (unit, "fidokit-agent.socket")
    desktop.run("systemctl", "--user", "stop", *units, "fidokit-agent.service")
    desktop.run("systemctl", "--user", "start", *units)  # at once, as at the next login
    assert desktop.variable() == OURS
    assert desktop.state(unit) == "active"

    desktop.fidokit("agent", "units", "--remove")
    assert desktop.variable() == theirs
    assert "SHA256" in desktop.listed(theirs) or "no identities" in desktop.listed(theirs)
