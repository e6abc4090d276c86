"""Two machines for the pages on servers: the reader's own, and `server.example`, a fresh Debian.

Both are mount namespaces of this machine, in a network of their own: the server has its own
accounts, its own /etc/ssh, /etc/pam.d and /run, and a real sshd on port 22. It needs root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyotp
from tests.docs.terminal import PATIENCE, Shell
from tests.support.agent_host import stock
from tests.support.children import popen

MARK = "<!-- Its commands run on two machines: yours, and server.example. -->"
"""Stands in the pages that want them."""

SERVER = "server.example"
ACCOUNTS = {"root": 0, "alice": 4001, "bob": 4002}
HASH_OF_PASSWORD = "$6$fidokit$"
SYSTEMCTL = """#!/bin/sh
# The server's service manager: it knows the one service there is, and its process.
case $1 in
    reload) kill -HUP "$(cat /run/systemd/main)" ;;
    is-active) kill -0 "$(cat /run/systemd/main)" ;;
    *) echo "this service manager cannot $1" >&2; exit 1 ;;
esac
"""
ENTERED = """
set -eu
mount --make-rprivate / 2>/dev/null || ! grep -q ' / .* shared:' /proc/self/mountinfo
{mounts}
{then}
echo ready
exec cat
"""


@dataclass(frozen=True)
class Root:
    """A machine's files that differ from this one's, in a scratch folder."""

    folder: Path

    def put(self, name: str, text: str, mode: int = 0o644) -> Path:
        """A file to lie over that of the same path."""
        path = self.folder / "over" / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def mounts(self, *names: str) -> str:
        """The commands that lay them over."""
        return "\n".join(f"mount --bind '{self.folder}/over{name}' '{name}'" for name in names)


@dataclass
class Phone:
    """A user's, with an app that shows codes; it is lost once a login took one.

    PAM takes no code twice, and the next one comes half a minute later: so the emergency codes of
    the slip of paper, from the first to the last, are what is typed from then on.
    """

    home: Path
    lost: bool = False

    def code(self, _shown: str) -> str:
        """Of the app, or of the paper."""
        lines = (self.home / ".google_authenticator").read_text().split("\n")
        if self.lost:
            return next(line for line in lines if re.fullmatch(r"\d{8}", line))
        self.lost = True
        return str(pyotp.TOTP(lines[0]).now())


def _codes(server: Path) -> dict[str, Callable[[str], str]]:
    """What is typed where a code is asked for: by sshd for a user, and when one is enrolled."""
    phones = {rf"\({name}@.*code: ?$": Phone(server / name).code for name in ACCOUNTS}
    return {r"Code that the app shows: ?$": _scanned, **phones}


def _scanned(shown: str) -> str:
    """The app learns the secret from the screen, and shows a code."""
    found = re.search(r"(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}", shown)
    assert found, shown
    return str(pyotp.TOTP(found[0].replace(" ", "")).now())


@contextmanager
def two_machines(patience: float = PATIENCE) -> Iterator[Shell]:
    """A shell on the reader's machine, which can reach the other one by ssh.

    The reader's key ~/.ssh/id_ed25519, an ordinary one, lets root in there, as a fresh machine of
    a hosting company has it.
    """
    assert os.geteuid() == 0, "namespaces, and an sshd for several users, need root"
    with tempfile.TemporaryDirectory(prefix="", dir="/tmp") as scratch, ExitStack() as ends:
        home, server = Path(scratch) / "home", Path(scratch) / "server"
        Path(scratch).chmod(0o755)
        home.mkdir(mode=0o755)
        server.mkdir(mode=0o755)
        mine = ends.enter_context(_entered(["unshare", "--net", "--mount"], _my_machine(home)))
        there = [*_enter(mine), "unshare", "--mount"]
        ends.enter_context(_entered(there, _server(server, home)))
        yield Shell(
            home,
            patience,
            prefix=_enter(mine),
            hidden=_hidden(server),
            more_answers=_codes(server),
        )


def _hidden(server: Path) -> dict[str, str]:
    return {
        str(server / "root"): "/root",
        **{str(server / name): f"/home/{name}" for name in ACCOUNTS if name != "root"},
    }


def _enter(pid: int) -> list[str]:
    # --root: where all of this runs in a chroot, entering a mount namespace alone would leave it
    return ["nsenter", f"--target={pid}", "--net", "--mount", "--root", "--wdns=/", "--"]


@contextmanager
def _entered(enter: Sequence[str], script: str) -> Iterator[int]:
    """A process that holds a machine; its id. The machine goes when the process does."""
    with popen(
        [*enter, "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout
            assert holder.stdout.readline() == b"ready\n", "the machine did not come up"
            yield holder.pid  # nsenter and unshare become what they run, all in one process
        finally:
            assert holder.stdin
            holder.stdin.close()
            holder.wait(30)


def _accounts(homes: dict[str, Path]) -> tuple[str, str]:
    """/etc/passwd and /etc/group with these homes, and without this machine's people."""
    system = [
        line
        for line in Path("/etc/passwd").read_text().splitlines()
        if line.split(":")[0] not in ACCOUNTS and int(line.split(":")[2]) < 1000
    ]
    people = [
        f"{name}:x:{uid}:{uid}:{name}:{homes[name]}:/bin/bash"
        for name, uid in ACCOUNTS.items()
        if name in homes
    ]
    groups = Path("/etc/group").read_text().splitlines()
    groups += [f"{name}:x:{uid}:" for name, uid in ACCOUNTS.items() if uid]
    return "\n".join([*people, *system, ""]), "\n".join([*groups, ""])


def _my_machine(home: Path) -> str:
    root = Root(home.parent / "mine")
    passwd, _ = _accounts({"root": home})
    root.put("/etc/passwd", passwd)
    root.put("/etc/hosts", f"127.0.0.1 localhost {SERVER}\n")
    ssh = home / ".ssh"
    ssh.mkdir(mode=0o700)
    keygen = [stock("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "charlie@laptop"]
    subprocess.run([*keygen, "-f", ssh / "id_ed25519"], check=True)
    (ssh / "config").write_text("Host *\n    SecurityKeyProvider $SSH_SK_PROVIDER\n")
    up = f"'{sys.executable}' -c \"{LOOPBACK_UP}\""
    return ENTERED.format(mounts=root.mounts("/etc/passwd", "/etc/hosts"), then=up)


LOOPBACK_UP = (
    "import fcntl, socket, struct; "
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41))"
)
"""SIOCSIFFLAGS with IFF_UP and IFF_RUNNING (netdevice(7)); iproute2 need not be there."""


def _server(folder: Path, reader: Path) -> str:
    root = Root(folder)
    homes = {name: folder / name for name in ACCOUNTS}
    for name, home in homes.items():
        home.mkdir(mode=0o700)
        os.chown(home, ACCOUNTS[name], ACCOUNTS[name])
    passwd, group = _accounts(homes)
    root.put("/etc/passwd", passwd)
    root.put("/etc/group", group)
    root.put("/etc/shadow", _shadow(), 0o600)
    programs = f"{folder / 'bin'}:{Path(sys.executable).parent}"
    path = f"{programs}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    root.put("/etc/environment", f'PATH="{path}"\n')
    shutil.copytree("/etc/pam.d", folder / "over/etc/pam.d")
    _sshd_files(root)
    authorized = homes["root"] / ".ssh" / "authorized_keys"
    authorized.parent.mkdir(mode=0o700)
    shutil.copy(reader / ".ssh" / "id_ed25519.pub", authorized)
    authorized.chmod(0o600)
    public = (folder / "over/etc/ssh/ssh_host_ed25519_key.pub").read_text()
    (reader / ".ssh" / "known_hosts").write_text(f"{SERVER} {public}")
    (folder / "bin").mkdir()
    (folder / "bin" / "systemctl").write_text(SYSTEMCTL)
    (folder / "bin" / "systemctl").chmod(0o755)
    # ssh carries both streams apart, and which comes first is chance: a page wants one order
    ours = folder / "bin" / "fidokit"
    program = Path(sys.executable).with_name("fidokit")
    text = f"#!/bin/sh\nPYTHONUNBUFFERED=1 exec '{program}' \"$@\" 2>&1\n"
    ours.write_text(text)
    ours.chmod(0o755)
    names = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/environment", "/etc/pam.d")
    mounts = [root.mounts(*names, "/etc/ssh"), "mount -t tmpfs -o mode=755 run /run"]
    mounts.append("mkdir -p /run/sshd /run/systemd/system")
    wait = "until [ -s /run/sshd.pid ]; do :; done"
    then = f"/usr/sbin/sshd -D -E '{folder}/log' </dev/null & echo $! >/run/systemd/main; {wait}"
    script = ENTERED.format(mounts="\n".join(mounts), then=then)
    return script.replace("exec cat", "cat; kill $(cat /run/systemd/main)")


def _shadow() -> str:
    """bob has a password, which nobody knows; the others have none."""
    lines = ["root:*:20000:0:99999:7:::", "alice:!:20000:0:99999:7:::"]
    lines.append(f"bob:{HASH_OF_PASSWORD}{'x' * 86}:20000:0:99999:7:::")
    system = [line.split(":")[0] for line in Path("/etc/passwd").read_text().splitlines()]
    lines += [f"{name}:*:20000:0:99999:7:::" for name in system if name not in ACCOUNTS]
    return "\n".join([*lines, ""])


def _sshd_files(root: Root) -> None:
    """As Debian installs them."""
    root.put("/etc/ssh/sshd_config", Path("/usr/share/openssh/sshd_config").read_text())
    (root.folder / "over/etc/ssh/sshd_config.d").mkdir()
    key = root.folder / "over/etc/ssh/ssh_host_ed25519_key"
    command: list[str | Path] = [
        stock("ssh-keygen"),
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-C",
        "server",
        "-f",
        key,
    ]
    subprocess.run(command, check=True)
