"""A controller with the collection, and a managed host of a Debian release: both throw-away.

The host is a userland with a layer in memory over it, with users, an sshd on loopback, and a
Python; Ansible logs in as root by a key on a virtual token, which an agent of ours holds.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ci.loading import load
from tests.support.agent_host import Host, stock
from tests.support.children import popen
from tests.support.debian import cache
from tests.support.roots import Machine, Root, elsewhere, required
from tests.support.sshd import Sshd, _wait, free_port

TOP = Path(__file__).parents[2]
HERE = "bookworm"
"""Stands for this machine's own userland, whatever release it is."""
USERS = ("alice", "bob")
LONG_S = 300
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
CONFIG = """\
Include /etc/ssh/sshd_config.d/*.conf
Port {port}
ListenAddress 127.0.0.1
UsePAM yes
PasswordAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
MaxStartups 100
"""
_RECAP = re.compile(r"^\S+ +: (ok=\d+ .*)$", re.MULTILINE)
_RESULT = re.compile(r"^\S+ \| (\w+)!? => (\{.*\})$", re.MULTILINE | re.DOTALL)


def oldest() -> Path:
    """Debian's own ansible-core, 2.14 in Debian 12."""
    found = Path("/usr/bin/ansible-playbook")
    assert found.exists(), "ansible-core is not installed; see .ci/debian-packages"
    return found


def newest() -> Path:
    """The locked one."""
    found = Path(sys.executable).with_name("ansible-playbook")
    assert found.exists(), "the environment has no ansible-core; see .ci/setup"
    return found


@dataclass
class Target:
    """A managed host.

    Attributes:
        machine: its userland, which runs.
        sshd: its server.
    """

    machine: Machine
    sshd: Sshd

    def tried(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A program that runs there as root."""
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        return subprocess.run(
            self.machine.within([*clean, *command]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def run(self, *command: str) -> str:
        """As `tried`, and it must succeed; what it printed."""
        done = self.tried(*command)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def read(self, path: str) -> str:
        """A file there; empty if there is none."""
        done = self.tried("cat", path)
        return done.stdout if done.returncode == 0 else ""

    def write(self, path: str, text: str, owner: str = "root") -> None:
        """A file there, in a folder of the same owner."""
        script = 'mkdir -p "${1%/*}" && printf %s "$2" >"$1" && chown "$3:" "${1%/*}" "$1"'
        self.run("sh", "-c", script, "sh", path, text, owner)

    def files(self) -> str:
        """What /etc/ssh has, with checksums."""
        return self.run("sh", "-c", "find /etc/ssh -type f -exec cksum {} + | sort -k3")


@dataclass(frozen=True)
class Played:
    """What a run of Ansible printed.

    Attributes:
        code: its exit status.
        out, err: its output, and its warnings.
    """

    code: int
    out: str
    err: str

    @property
    def told(self) -> str:
        """All of it in one line, whose words Ansible breaks at 80 columns."""
        return " ".join((self.out + self.err).split())

    @property
    def result(self) -> dict[str, Any]:
        """What the module of an ad-hoc command returned."""
        match = _RESULT.search(self.out)
        assert match, self.out + self.err
        return dict(json.loads(match[2]))

    def count(self, word: str) -> int:
        """A number of the recap, of all hosts together."""
        rows = _RECAP.findall(self.out)
        assert rows, self.out + self.err
        return sum(int(number) for row in rows for number in re.findall(rf"{word}=(\d+)", row))


@dataclass
class Controller:
    """Where Ansible runs.

    Attributes:
        host: its home, and the agent with the token.
        collections: the path of collections.
        program: ansible-playbook; the other programs are beside it.
        targets: the managed hosts, by name.
    """

    host: Host
    collections: Path
    program: Path
    targets: dict[str, Target] = field(default_factory=dict)

    @property
    def files(self) -> Path:
        """Where playbooks are, and the files that they name."""
        return self.host.home

    def environ(self) -> dict[str, Any]:
        """What Ansible is told by its environment."""
        home = self.host.home
        known = f"-o UserKnownHostsFile={home / 'known'} -o GlobalKnownHostsFile=/dev/null"
        share = f"-o ControlMaster=auto -o ControlPersist=60 -o ControlPath={home}/%C"
        return {
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_HOME": str(home / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(home / "ansible"),
            "ANSIBLE_SSH_ARGS": f"-F none {known} {share}",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEPRECATION_WARNINGS": "False",
            "ANSIBLE_INVENTORY": str(self._inventory()),
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_PIPELINING": "True",
        }

    def _inventory(self) -> Path:
        rows = [
            f"{name} ansible_host=127.0.0.1 ansible_port={target.sshd.port} ansible_user=root"
            for name, target in self.targets.items()
        ]
        path = self.host.home / "inventory"
        path.write_text("".join(f"{row}\n" for row in rows))
        return path

    def run(self, *command: str | Path, code: int | None = 0, **env: str) -> Played:
        """A program of Ansible."""
        done = self.host.run(*command, code=code, wait=LONG_S, **{**self.environ(), **env})
        played = Played(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in played.out + played.err, played
        return played

    def task(self, module: str, *words: str, code: int | None = 0, **given: Any) -> Played:
        """One task, ad hoc, on all hosts."""
        ansible = self.program.with_name("ansible")
        arguments = ["-a", json.dumps(given)] if given else []
        name = f"fidokit.ssh.{module}"
        return self.run(ansible, "all", "-m", name, *arguments, *words, code=code)

    def play(self, name: str, *words: str, code: int | None = 0, **env: str) -> Played:
        """A playbook of the folder `files`."""
        return self.run(self.program, name, *words, code=code, **env)

    def says(self, target: Target, user: str, key: Path) -> str:
        """What `id -un` prints for a user who logs in by a key alone; empty if that fails."""
        options = ["-F", "none", "-oIdentitiesOnly=yes", "-oControlPath=none", "-oBatchMode=yes"]
        options += [f"-oUserKnownHostsFile={self.host.home / 'known'}", "-oLogLevel=ERROR"]
        ssh = [stock("ssh"), *options, "-p", str(target.sshd.port), "-i", str(key)]
        done = self.host.run(*ssh, f"{user}@127.0.0.1", "id -un", code=None)
        return done.stdout.decode().strip() if done.returncode == 0 else ""

    def hang_up(self) -> None:
        """End the connections that ssh keeps."""
        for path in self.host.home.iterdir():
            if path.is_socket() and re.fullmatch("[0-9a-f]{40}", path.name):
                self.host.run(stock("ssh"), "-F", "none", "-S", path, "-O", "exit", "x", code=None)


def build(folder: Path) -> Path:
    """The collection as a tree; the path of collections."""
    place = folder / "ansible_collections/fidokit/ssh"
    place.parent.mkdir(parents=True)
    load("collection").write(TOP, place)
    return folder


@contextmanager
def target(suite: str, *keys: str) -> Iterator[Target]:
    """A host of a Debian release, for the `with` block.

    Args:
        keys: public lines that let root in.
    """
    scratch = cache("roots") / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    found, show = required(suite) if suite in elsewhere() else Root(suite, Path("/"), scratch), {}
    if found.folder == Path("/"):  # whose devices are on a mount of their own
        show = {f"/dev/{name}": f"/dev/{name}" for name in DEVICES}
    with found.machine(show) as machine:
        port = free_port()
        made = Target(machine, Sshd(port, Path("/"), machine.process))
        _furnish(made, port, keys)
        command = machine.within(["/usr/sbin/sshd", "-D", "-e"])
        with popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                made.sshd.process = process
                _wait(made.sshd)
                yield made
            finally:
                process.terminate()


def _furnish(made: Target, port: int, keys: tuple[str, ...]) -> None:
    for name in USERS:
        made.run("useradd", "--create-home", "--shell", "/bin/sh", name)
    made.run(
        "sh", "-c", "rm -rf /etc/ssh/sshd_config.d /etc/ssh/ssh_host_* /root/.ssh /etc/nologin"
    )
    made.run("sh", "-c", "mkdir -p /etc/ssh/sshd_config.d /run/sshd && ssh-keygen -A")
    new = "PerSourcePenalties no\n"
    made.write("/etc/ssh/sshd_config", CONFIG.format(port=port) + new)
    if made.tried("/usr/sbin/sshd", "-t").returncode != 0:  # before OpenSSH 9.8
        made.write("/etc/ssh/sshd_config", CONFIG.format(port=port))
    made.run("/usr/sbin/sshd", "-t")
    made.write("/root/.ssh/authorized_keys", "".join(f"{key.strip()}\n" for key in keys))
    made.run("chmod", "-R", "go-rwx", "/root/.ssh")


def know(host: Host, target: Target) -> None:
    """Have ssh know the target by its host keys."""
    lines = target.run("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
    with (host.home / "known").open("a") as file:
        file.writelines(f"[127.0.0.1]:{target.sshd.port} {line}\n" for line in lines)
