"""check and harden where a real systemd runs sshd: as a service, by sockets, several at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.booted import booted
from tests.support.ssh_machine import SECOND, SshMachine

pytestmark = [pytest.mark.interop, pytest.mark.root]

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


@pytest.fixture(scope="module")
def server() -> Iterator[SshMachine]:
    with booted() as machine:
        yield SshMachine(machine)


@pytest.fixture(params=["service", "options", "socket", "woken", "connection", "several"])
def way(request: pytest.FixtureRequest, server: SshMachine) -> Iterator[str]:
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
        for unit in ("ssh.socket", "ssh.service", "ssh-second.service"):
            it.tried("systemctl", "stop", unit)  # new systemd stops none where one is unknown
        it.tried("systemctl", "reset-failed")  # which counts how often they began, too
        it.tried("sh", "-c", "rm -rf /etc/systemd/system/ssh*; systemctl daemon-reload")
        it.write("/etc/default/ssh", "SSHD_OPTS=\n")


def test_harden_check_and_back(server: SshMachine, way: str) -> None:
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
def test_a_reload_is_named_as_systemd_does_it(server: SshMachine, way: str) -> None:
    server.lets_in()  # what the socket wakes runs from then on
    said = server.done("server", "harden", "hardware-only", "--user", "alice")
    try:
        verb = "restart" if way == "woken" else "reload"
        command = f"systemctl {verb} ssh.service"
        assert (command in said) is (way != "connection"), said
        if way != "connection":
            assert not server.holds()  # it runs with the old text
            assert server.lets_in()
            server.machine.run(*command.split())
        assert not server.lets_in()
    finally:
        server.done("server", "harden", "--undo", "--reload")
