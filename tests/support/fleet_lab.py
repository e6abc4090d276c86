"""Many hosts on loopback: each a Debian userland of its own with users, processes and an sshd."""

from __future__ import annotations

import base64
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.children import popen
from tests.support.roots import Root
from tests.support.signers import ed25519_token

PORT = 2222
STARTED_S = 60
CONFIG = """\
ListenAddress {address}:{port}
HostKey /etc/ssh/of_tests
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication {password}
KbdInteractiveAuthentication no
{more}
"""
CLIENT = """\
Host *
    User root
    Port {port}
    IdentityFile {folder}/admin
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    HostKeyAlias fleet
"""
LOCKED = "*"
PASSWORD = "$6$not$" + "x" * 86  # a hash of nothing that anybody knows


@dataclass(frozen=True)
class LabHost:
    """A host that is to be.

    Args:
        name: for ssh.
        root: its userland.
        keys: lines of authorized_keys by account; root's has the administrator's key besides.
        passwords: accounts that have one, where sshd takes passwords.
        script: shell commands for root, before sshd starts.
    """

    name: str
    root: Root
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    passwords: Sequence[str] = ()
    script: str = ""


@dataclass
class FleetLab:
    """Hosts that run, and the configuration by which ssh knows their names.

    Args:
        folder: for the keys and the configuration.
    """

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The client's configuration."""
        return self.folder / "ssh_config"

    @property
    def ssh(self) -> str:
        """The command that reaches the hosts."""
        return f"ssh -F {self.config}"

    @property
    def admin(self) -> str:
        """The line of the key that checks them."""
        return (self.folder / "admin.pub").read_text().strip()


@contextmanager
def fleet_lab(
    folder: Path, hosts: Sequence[LabHost], down: Sequence[str] = ()
) -> Iterator[FleetLab]:
    """Run hosts for the `with` block.

    Args:
        folder: for the client's files.
        hosts: those that run.
        down: names that nobody listens at.
    """
    lab = FleetLab(folder)
    for name in ("admin", "host_key"):
        keygen = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name]
        subprocess.run(keygen, check=True)
    (folder / "known").write_text(f"fleet {(folder / 'host_key.pub').read_text()}")
    names = [host.name for host in hosts] + list(down)
    with ExitStack() as stack:
        network = stack.enter_context(_own_network())
        addresses = [
            f"{network}.{number // 200}.{number % 200 + 1}" for number in range(len(names))
        ]
        blocks = [
            f"Host {name}\n    HostName {at}\n" for name, at in zip(names, addresses, strict=True)
        ]
        lab.config.write_text("".join(blocks) + CLIENT.format(port=PORT, folder=folder))
        for host, at in zip(hosts, addresses, strict=False):
            lab.processes[host.name] = stack.enter_context(_running(lab, host, at))
        for host, at in zip(hosts, addresses, strict=False):
            _wait(lab.processes[host.name], host.name, at)
        yield lab


@contextmanager
def _own_network() -> Iterator[str]:
    """The first half of loopback addresses that no other lab on this machine uses."""
    with socket.socket(type=socket.SOCK_DGRAM) as mark:
        yield next(f"127.{number}" for number in range(10, 250) if _is_free(mark, number))


def _is_free(mark: socket.socket, number: int) -> bool:
    with suppress(OSError):
        mark.bind((f"127.{number}.255.1", PORT))
        return True
    return False


@contextmanager
def _running(lab: FleetLab, host: LabHost, address: str) -> Iterator[subprocess.Popen[bytes]]:
    script = _script(lab, host, address)
    with (lab.folder / f"{host.name}.log").open("wb") as log:
        process = popen(
            host.root.within(["sh", "-ec", script], alone=True),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()  # its processes and mounts go with it
        process.wait(30)


def _script(lab: FleetLab, host: LabHost, address: str) -> str:
    version = "PerSourcePenalties no" if host.root.suite in ("trixie", "sid") else ""
    password = "yes" if host.passwords else "no"
    config = CONFIG.format(address=address, port=PORT, password=password, more=version)
    keys = {"root": [lab.admin, *host.keys.get("root", ())], **_without_root(host.keys)}
    accounts = [name for name in dict.fromkeys([*keys, *host.passwords]) if name != "root"]
    lines = [
        "umask 022",
        "rm -f /etc/ssh/sshd_config.d/*",
        _put("/etc/ssh/sshd_config", config),
        "umask 077",
        _put("/etc/ssh/of_tests", (lab.folder / "host_key").read_text()),
    ]
    for number, name in enumerate(accounts, 1001):
        secret = PASSWORD if name in host.passwords else LOCKED
        lines += [
            f"echo '{name}:x:{number}:{number}::/home/{name}:/bin/sh' >>/etc/passwd",
            f"echo '{name}:{secret}:20000:0:99999:7:::' >>/etc/shadow",
            f"echo '{name}:x:{number}:' >>/etc/group",
        ]
    for name, found in keys.items():
        home = "/root" if name == "root" else f"/home/{name}"
        lines += [
            f"mkdir -p {home}/.ssh",
            _put(f"{home}/.ssh/authorized_keys", "".join(f"{line}\n" for line in found)),
            f"chown -R {name}: {home}",
        ]
    # The shell becomes sshd, whose start therefore seems to be before it wrote the configuration:
    # that is in doubt unless sshd notes its PidFile a good while later.
    lines += [host.script, "sleep 0.5", "exec /usr/sbin/sshd -D -e"]
    return "\n".join(lines)


def _without_root(keys: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    return {name: lines for name, lines in keys.items() if name != "root"}


def _put(path: str, text: str) -> str:
    return f"printf %s {shlex.quote(text)} >{path}"


def _wait(process: subprocess.Popen[bytes], name: str, address: str) -> None:
    deadline = time.monotonic() + STARTED_S
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((address, PORT)) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"{name} did not start")
        time.sleep(0.02)


def token_line(number: int, comment: str) -> str:
    """A line with a key on a token, by number."""
    token = ed25519_token(number).public
    return f"{token.type_name} {base64.b64encode(token.blob()).decode()} {comment}"


def file_line(seed: int, comment: str) -> str:
    """A line with an ed25519 key in a file, by number; nobody has its private half."""
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + seed.to_bytes(32, "big")
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}"
