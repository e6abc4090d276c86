"""check and harden where a real systemd runs sshd: as a service, by sockets, several at once."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.support.booted import Booted, booted
from tests.support.openssh_version import openssh
from tests.support.signers import ed25519_token

pytestmark = [pytest.mark.interop, pytest.mark.root]

CONFIG = """\
Include /etc/ssh/sshd_config.d/*.conf
HostKey /etc/ssh/of_tests
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""
SECOND = "/etc/ssh/second_config"
BY_CONNECTION = """\
[Socket]
ListenStream=22
Accept=yes
"""
FOR_A_CONNECTION = """\
[Service]
ExecStart=-/usr/sbin/sshd -i $SSHD_OPTS
EnvironmentFile=-/etc/default/ssh
StandardInput=socket
RuntimeDirectory=sshd
RuntimeDirectoryPreserve=yes
"""
SECOND_UNIT = f"""\
[Service]
ExecStart=/usr/sbin/sshd -D -f {SECOND}
ExecReload=/bin/kill -HUP $MAINPID
RuntimeDirectory=sshd
RuntimeDirectoryPreserve=yes
"""


class Server:
    """The machine with a user, alice, whom a key in a file lets in, and one on a token."""

    def __init__(self, machine: Booted) -> None:
        self.machine = machine
        machine.run("sh", "-c", "rm -f /etc/ssh/sshd_config.d/* /etc/default/ssh")
        for kind, line in (
            ("passwd", "alice:x:1001:1001::/home/alice:/bin/sh"),
            ("shadow", "alice:*:20000:0:99999:7:::"),
            ("group", "alice:x:1001:"),
        ):
            with machine.path(f"/etc/{kind}").open("a") as file:
                file.write(f"{line}\n")
        for name in ("/root/plain", "/etc/ssh/of_tests"):
            machine.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name)
        token = ed25519_token(7).public
        blob = base64.b64encode(token.blob()).decode()
        plain = machine.path("/root/plain.pub").read_text()
        keys = "/home/alice/.ssh/authorized_keys"
        machine.write(keys, f"{plain}{token.type_name} {blob}\n")
        machine.run("chown", "-R", "alice:alice", "/home/alice")
        more = "PerSourcePenalties no\n" if openssh("sshd") >= (9, 8) else ""
        machine.write("/etc/ssh/sshd_config", CONFIG + more)
        machine.write(SECOND, f"Port 2222\nPidFile /run/second.pid\n{CONFIG}{more}")
        machine.write("/etc/default/ssh", "SSHD_OPTS=\n")

    def fidokit(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.machine.tried(sys.executable, "-m", "fidokit", *words)

    def done(self, *words: str) -> str:
        done = self.fidokit(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def lets_in(self, port: int = 22) -> bool:
        """Whether the key in a file does."""
        words = ["-F", "none", "-i", "/root/plain", "-p", str(port), "-oBatchMode=yes"]
        words += ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
        done = self.machine.tried("ssh", *words, "alice@127.0.0.1", "true")
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
        folder = self.machine.path("/etc/ssh")
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with booted() as machine:
        yield Server(machine)


@pytest.fixture(params=["service", "options", "socket", "woken", "connection", "several"])
def way(request: pytest.FixtureRequest, server: Server) -> Iterator[str]:
    """How sshd is started; everything is stopped afterwards."""
    way: str = request.param
    it = server.machine
    started = ["ssh.socket"] if way in {"socket", "woken", "connection"} else ["ssh.service"]
    it.unit("ssh.service")
    it.unit("ssh.socket", BY_CONNECTION if way == "connection" else "")
    if way == "connection":
        it.unit("ssh@.service", FOR_A_CONNECTION)
    if way == "several":
        it.unit("ssh-second.service", SECOND_UNIT)
        started.append("ssh-second.service")
    if way == "options":
        it.write("/etc/default/ssh", "SSHD_OPTS='-o PubkeyAuthOptions=touch-required -oPort=22'\n")
    it.run("systemctl", "start", *started)
    try:
        if way == "woken":
            assert server.lets_in()
            it.run("systemctl", "is-active", "ssh.service")
        yield way
    finally:
        stopped = ["ssh.socket", "ssh.service", "ssh-second.service"]
        it.tried("systemctl", "stop", *stopped)
        it.tried("sh", "-c", "rm -rf /etc/systemd/system/ssh*; systemctl daemon-reload")
        it.write("/etc/default/ssh", "SSHD_OPTS=\n")


def test_harden_check_and_back(server: Server, way: str) -> None:
    before = server.files()
    ports = [22, 2222] if way == "several" else [22]
    assert all(map(server.lets_in, ports))
    assert not server.holds()
    words = ("server", "harden", "hardware-only", "--user", "alice", "--reload")
    said = server.done(*words)
    assert (f"-f {SECOND}) reads /etc/ssh/sshd_config.d/0-fidokit.conf, too" in said) is (
        way == "several"
    ), said
    assert not server.lets_in()
    if way == "several":  # the second has a configuration of its own, with the same drop-ins
        assert not server.holds()
        server.done(*words, "--config", SECOND)
        assert not server.lets_in(2222)
    assert server.holds(), server.fidokit("server", "check", "--require", "hardware").stdout
    if way == "several":
        server.done("server", "harden", "--undo", "--reload", "--config", SECOND)
        assert server.lets_in(2222)
    server.done("server", "harden", "--undo", "--reload")
    assert server.lets_in()
    assert not server.holds()
    assert server.files() == before


@pytest.mark.parametrize("way", ["service", "woken", "connection"], indirect=True)
def test_a_reload_is_named_as_systemd_does_it(server: Server, way: str) -> None:
    server.lets_in()  # what the socket wakes runs from then on
    said = server.done("server", "harden", "hardware-only", "--user", "alice")
    try:
        command = "systemctl reload ssh.service"
        assert (command in said) is (way != "connection"), said
        if way != "connection":
            assert not server.holds()  # it runs with the old text
            assert server.lets_in()
            server.machine.run(*command.split())
        assert not server.lets_in()
    finally:
        server.done("server", "harden", "--undo", "--reload")
