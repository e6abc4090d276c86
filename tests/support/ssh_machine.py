"""A machine with systemd of its own on which users log in over ssh: for check and harden."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import time

from tests.support.booted import Booted
from tests.support.openssh_version import openssh
from tests.support.signers import ed25519_token

CONFIG = """\
Include /etc/ssh/sshd_config.d/*.conf
HostKey /etc/ssh/of_tests
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
ANSWERS_S = 20
SECOND = "/etc/ssh/second_config"
"""Of another sshd, on port 2222."""


class SshMachine:
    """The machine with a user, alice, whom a key in a file lets in, and one on a token.

    Attributes:
        machine: itself.
        plain, token: lines of these keys.
    """

    def __init__(self, machine: Booted) -> None:
        self.machine = machine
        machine.run("sh", "-c", "rm -f /etc/ssh/sshd_config.d/* /etc/default/ssh")
        for name in ("/root/plain", "/etc/ssh/of_tests"):
            machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
        self.plain = machine.path("/root/plain.pub").read_text()
        self.token = token_line(7)
        self.add_user("alice", 1001, self.plain, self.token)
        more = "PerSourcePenalties no\n" if openssh("sshd") >= (9, 8) else ""
        machine.write("/etc/ssh/sshd_config", CONFIG + more)
        machine.write(SECOND, f"Port 2222\nPidFile /run/second.pid\n{CONFIG}{more}")
        machine.write("/etc/default/ssh", "SSHD_OPTS=\n")

    def add_user(self, name: str, number: int, *lines: str) -> None:
        """A user with a home and keys, without a password."""
        home = f"/home/{number}"
        for kind, line in (
            ("passwd", f"{name}:x:{number}:{number}::{home}:/bin/sh"),
            ("shadow", f"{name}:*:20000:0:99999:7:::"),
            ("group", f"{name}:x:{number}:"),
        ):
            with self.machine.path(f"/etc/{kind}").open("a") as file:
                file.write(f"{line}\n")
        keys = f"{home}/.ssh/authorized_keys"
        self.machine.write(keys, "".join(lines))
        for path in (home, f"{home}/.ssh", keys):
            os.chown(self.machine.path(path), number, number)

    def fidokit(self, *words: str) -> subprocess.CompletedProcess[str]:
        """The command there, as root."""
        return self.machine.tried(sys.executable, "-m", "fidokit", *words)

    def done(self, *words: str) -> str:
        """The command, which must succeed; what it printed."""
        done = self.fidokit(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def lets_in(self, port: int = 22) -> bool:
        """Whether the key in a file does."""
        words = ["-F", "none", "-i", "/root/plain", "-p", str(port), "-oBatchMode=yes"]
        words += ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
        deadline = time.monotonic() + ANSWERS_S
        while True:  # an sshd that begins anew drops whom it had not taken yet
            done = self.machine.tried("ssh", *words, "alice@127.0.0.1", "true")
            if not re.search("Connection re(set|fused)", done.stderr):
                break
            assert time.monotonic() < deadline, done
        assert done.returncode in {0, 255}, done
        assert done.returncode == 0 or "Permission denied" in done.stderr, done
        return done.returncode == 0

    def holds(self) -> bool:
        """Whether check says that only tokens let alice in."""
        done = self.fidokit("--json", "server", "check", "--user", "alice", "--require", "hardware")
        assert done.returncode in {0, 10}, done
        assert "findings" in json.loads(done.stdout)
        return done.returncode == 0

    def files(self) -> dict[str, bytes]:
        """Every file below /etc/ssh."""
        folder = self.machine.path("/etc/ssh")
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def token_line(number: int) -> str:
    """A line with a key on a token, by number."""
    token = ed25519_token(number).public
    return f"{token.type_name} {base64.b64encode(token.blob()).decode()}\n"
