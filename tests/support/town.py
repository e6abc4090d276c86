"""A machine with users, an sshd and an /etc of its own, as root: this one's are not touched.

Programs run in a mount namespace where a copy of /etc and an empty /home lie over this machine's.
Of a release whose Python is too old for fidokit (tests/matrix) all programs but fidokit are the
release's: Python starts outside, and goes into the userland with what it has loaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.children import popen
from tests.support.openssh_version import openssh
from tests.support.roots import TOO_OLD, required
from tests.support.sshd import Sshd, _wait, free_port

REPOSITORY = Path(__file__).parents[2]
OUTSIDE = tuple(
    dict.fromkeys([sys.prefix, *map(sysconfig.get_path, ("stdlib", "platstdlib")), str(REPOSITORY)])
)
"""What of this machine is seen in another userland, read-only."""

FIRST_UID = 64_400
USERS = ("alice", "bob", "carol")
ENTER = """
set -e
mount --bind "$1/etc" /etc
mount --bind "$1/home" /home
mkdir -p /run/sshd
shift
exec "$@"
"""
ENTER_ANOTHER = """
set -e
town=$1 lower=$2
shift 2
mount -t tmpfs -o mode=755 none "$town/layer"
cd "$town/layer"
mkdir upper work root
mount -t overlay -o "lowerdir=$lower,upperdir=upper,workdir=work" overlay root
mkdir -p "root$town" root/run/sshd
mount --rbind /proc root/proc
mount --rbind /dev root/dev
mount --bind "$town" "root$town"
mount --bind "$town/etc" root/etc
mount --bind "$town/home" root/home
while [ "$1" != -- ]; do
    mkdir -p "root$1"
    mount --bind "$1" "root$1"
    mount -o remount,bind,ro "root$1"
    shift
done
shift
cd "$town/keys"
exec "$@"
"""
GO_IN = """
import ctypes, hashlib, importlib, os, ssl, sys  # three bring libraries of the machine outside
root, python, *command = sys.argv[1:]
folder = os.getcwd()
os.chroot(root)
os.chdir(folder)
if command[:3] != [python, "-m", "fidokit"]:
    os.execvp(command[0], command)
sys.argv = ["fidokit", *command[3:]]
importlib.import_module("fidokit.cli.main").main()
"""
CONFIG = "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\nKbdInteractiveAuthentication no\n"


@dataclass(frozen=True)
class Town:
    """Where its files are.

    Attributes:
        folder: holds etc, home and keys.
        sshd: the server program.
        userland: another release's, where one is looked at from outside.
    """

    folder: Path
    sshd: str
    userland: Path | None = None

    def within(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a program there."""
        if self.userland:
            return self._within_another(self.userland, command)
        enter = ["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh"]
        return [*enter, str(self.folder), *command]

    def _within_another(self, userland: Path, command: Sequence[str]) -> list[str]:
        unshare = ["unshare", "--mount", "--propagation", "private"]
        enter = ["sh", "-c", ENTER_ANOTHER, "sh", str(self.folder), str(userland), *OUTSIDE, "--"]
        go_in = [sys.executable, "-c", GO_IN, f"{self.folder}/layer/root", sys.executable]
        return [*unshare, *enter, *go_in, *command]

    def run(self, *command: str, code: int | None = 0, env: dict[str, str] | None = None) -> str:
        """Run a program there, in the folder of keys; what it printed, errors included.

        Args:
            code: the exit status that it must have; None for any.
            env: more for its environment.
        """
        environ = {name: value for name, value in os.environ.items() if name != "SSH_AUTH_SOCK"}
        done = subprocess.run(
            self.within(command),
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder / "keys",
            env={**environ, "HOME": str(self.folder / "own-home"), **(env or {})},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert code is None or done.returncode == code, printed
        return printed

    def fidokit(self, *arguments: str, code: int | None = 0) -> str:
        """Run fidokit there, in the folder of keys."""
        return self.run(sys.executable, "-m", "fidokit", *arguments, code=code)

    def authorize(self, *arguments: str, code: int | None = 0) -> str:
        """Run `fidokit server authorize` there."""
        return self.fidokit("server", "authorize", *arguments, code=code)

    def configure(self, *lines: str) -> None:
        """Have sshd read these lines before its own."""
        (self.etc / "ssh/sshd_config.d/t.conf").write_text("".join(f"{line}\n" for line in lines))

    @property
    def etc(self) -> Path:
        """Its /etc, as it is seen from outside."""
        return self.folder / "etc"

    def home(self, user: str) -> Path:
        """A user's home folder, as it is seen from outside."""
        return self.folder / "home" / user

    def key(self, name: str, *, kind: str = "ed25519") -> Path:
        """The public file of an ordinary key."""
        private = self.folder / "keys" / name
        if not private.exists():
            keygen = shutil.which("ssh-keygen") or "ssh-keygen"
            make: list[str | Path] = [keygen, "-q", "-t", kind, "-N", "", "-C", name]
            subprocess.run([*make, "-f", private], check=True)
        return private.with_suffix(".pub")

    def put(self, user: str, text: str, name: str = "authorized_keys") -> Path:
        """A file below ~/.ssh of a user's."""
        path = self.home(user) / ".ssh" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
        for owned in (path.parent, path):
            shutil.chown(owned, FIRST_UID + USERS.index(user), FIRST_UID + USERS.index(user))
        path.parent.chmod(0o700)
        return path

    @contextmanager
    def serving(self, *options: str) -> Iterator[Login]:
        """Its sshd on a port of loopback, with its own configuration."""
        port = free_port()
        command = [self.sshd, "-D", "-e", "-p", str(port), "-o", "ListenAddress=127.0.0.1"]
        if openssh("sshd") >= (9, 8):  # tests fail to log in on purpose
            command += ["-o", "PerSourcePenalties=no"]
        with (self.folder / "log").open("wb") as errors:
            process = popen(
                self.within([*command, *options]),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
            try:
                _wait(Sshd(port, self.folder, process))
                yield Login(self, port)
            finally:
                process.terminate()
                process.wait(30)


@dataclass(frozen=True)
class Login:
    """Logins at a server that runs."""

    town: Town
    port: int

    @property
    def ssh(self) -> list[str]:
        """The stock ssh for it, without any configuration."""
        options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes")
        more = ("IdentitiesOnly=yes", "LogLevel=ERROR", "IdentityAgent=none")
        named = [f"-o{option}" for option in (*options, *more)]
        return ["ssh", "-F", "none", "-p", str(self.port), *named]

    def says(self, user: str, key: Path, *command: str) -> str:
        """What a command prints for a user who logs in by a key; empty where that fails."""
        private = str(key.with_suffix(""))
        done = subprocess.run(
            [*self.ssh, "-i", private, f"{user}@127.0.0.1", *(command or ("id", "-un"))],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""


def found_town(folder: Path, sshd: str) -> Town:
    """Make one: users without passwords, an sshd that takes keys."""
    suite = os.environ.get("FIDOKIT_MATRIX", "")
    userland = required(suite).folder if suite in TOO_OLD else None
    etc = f"{userland or ''}/etc"
    shutil.copytree(etc, folder / "etc", symlinks=True, ignore=_not_files)
    for name in ("home", "keys", "own-home", "layer"):
        (folder / name).mkdir()
    (folder / "home").chmod(0o755)
    town = Town(folder, "/usr/sbin/sshd" if userland else sshd, userland)
    files = {name: (town.etc / name).read_text() for name in ("passwd", "group", "shadow")}
    for number, name in enumerate(USERS, FIRST_UID):
        files["passwd"] += f"{name}:x:{number}:{number}::/home/{name}:/bin/sh\n"
        files["group"] += f"{name}:x:{number}:\n"
        files["shadow"] += f"{name}:*:19000:0:99999:7:::\n"
        town.home(name).mkdir(mode=0o755)
        shutil.chown(town.home(name), number, number)
    for name, text in files.items():
        (town.etc / name).write_text(text)
    shutil.rmtree(town.etc / "ssh/sshd_config.d", ignore_errors=True)
    (town.etc / "ssh/sshd_config.d").mkdir(parents=True)
    (town.etc / "ssh/sshd_config").write_text(CONFIG)
    (town.etc / "nologin").unlink(missing_ok=True)
    town.run("ssh-keygen", "-A")
    return town


def _not_files(folder: str, names: list[str]) -> list[str]:
    """What cannot be copied: sockets and the like."""
    paths = {name: Path(folder, name) for name in names}
    return [
        name
        for name, path in paths.items()
        if not (path.is_symlink() or path.is_file() or path.is_dir())
    ]
