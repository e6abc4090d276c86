"""Stock sshds on loopback, each with a host key and a name of its own, for one user."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.agent_host import WAIT_S, Host, stock
from tests.support.children import popen

USER = getpass.getuser()
CONFIG = """\
ListenAddress 127.0.0.1
HostKey {folder}/{name}_host
AuthorizedKeysFile {folder}/authorized
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PidFile none
LogLevel DEBUG1
Subsystem sftp internal-sftp
{more}
"""
CLIENT = """\
Host {name}
    HostName 127.0.0.1
    Port {port}
    HostKeyAlias {name}
"""
EVERYWHERE = """\
Host *
    User {user}
    UserKnownHostsFile {folder}/known
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    IdentityFile {folder}/none
    PreferredAuthentications publickey
    BatchMode yes
"""


@dataclass
class Network:
    """Servers that one ssh configuration knows by name, and keys that may log in to them."""

    host: Host
    names: Sequence[str]
    config: Path

    @property
    def known(self) -> Path:
        """The known_hosts file."""
        return self.host.home / "known"

    def log(self, name: str) -> str:
        """What a server logged."""
        return (self.host.home / f"{name}.log").read_text(errors="replace")

    def authorize(self, *lines: str) -> None:
        """Let these public lines log in, and no others."""
        (self.host.home / "authorized").write_text("".join(f"{line.strip()}\n" for line in lines))

    def ssh(self, *args: str, code: int | None = 0) -> str:
        """Run ssh; returns what it printed."""
        done = self.host.run(stock("ssh"), "-F", str(self.config), *args, code=code)
        return done.stdout.decode() if code == 0 else done.stderr.decode()


@contextmanager
def network(host: Host, *names: str, more: str = "") -> Iterator[Network]:
    """Servers of these names on loopback, for the `with` block."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd run by root insists on it
    config = host.home / "ssh_config"
    config.write_text("")
    (host.home / "known").write_text("")
    servers = []
    try:
        for name in names:
            servers += [_server(host, name, more)]
        with config.open("a") as file:
            file.write(EVERYWHERE.format(folder=host.home, user=USER))
        yield Network(host, names, config)
    finally:
        for server in servers:
            server.terminate()
        for server in servers:
            server.wait(WAIT_S)


def _server(host: Host, name: str, more: str) -> subprocess.Popen[bytes]:
    home = host.home
    if not (home / f"{name}_host").exists():
        host.keygen("-t", "ed25519", "-N", "", "-f", f"{name}_host", "-C", name)
    public = " ".join((home / f"{name}_host.pub").read_text().split()[:2])
    with (home / "known").open("a") as known:
        known.write(f"{name} {public}\n")
    (home / f"{name}.conf").write_text(CONFIG.format(folder=home, name=name, more=more))
    for _ in range(20):
        port = _free_port()
        command = [stock("sshd"), "-D", "-e", "-f", f"{home}/{name}.conf", "-p", str(port)]
        with (home / f"{name}.log").open("wb") as log:
            server = popen(command, stdin=subprocess.DEVNULL, stderr=log, stdout=log)
        if _answers(port, server):
            with (home / "ssh_config").open("a") as config:
                config.write(CLIENT.format(name=name, port=port))
            return server
    raise AssertionError((home / f"{name}.log").read_text())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int, server: subprocess.Popen[bytes]) -> bool:
    """Whether this server came up; False where somebody else took the port meanwhile."""
    deadline = time.monotonic() + WAIT_S
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
    return False
