"""A systemd that runs as process 1 of namespaces of its own, over this machine's own userland.

What it changes lies in memory and goes with it; its network is a loopback of its own. Of this
machine it sees the interpreter and the repository, read-only, so that the command runs there too.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.children import popen
from tests.support.debian import PRIVATE

STARTED_S = 60
_ALL_SPACES = ("-m", "-p", "-u", "-i", "-n", "-C", "--wd=/")
_TOP = Path(__file__).parents[2]
_SHOWN = [
    path
    for path in dict.fromkeys((_TOP, Path(sys.prefix), Path(sys.base_prefix)))
    if path != Path("/usr")
]
_ONLY = """\
[Unit]
DefaultDependencies=no
"""

# cgroup2 is mounted here whether this machine shows it or not. What ends up in the group is
# process 1 with all that it starts: its namespace of groups begins there.
_GROUP = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/groups"
mount -t cgroup2 none "$1/groups"
mkdir "$1/groups/$2"
echo $$ >"$1/groups/$2/cgroup.procs"
exec unshare --pid --fork --kill-child --cgroup --net --uts --ipc -- sh -c "$3" sh "$@"
"""
_UNGROUP = """
mount -t cgroup2 none "$1" && find "$1/$2" -depth -type d -exec rmdir {} +
"""
_ENTER = """
set -e
scratch=$1
shift 3
umount "$scratch/groups"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
layers=lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work
mount -t overlay -o "$layers" overlay "$scratch/root"
cd "$scratch/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
for folder in dev home root run srv; do mount -t tmpfs -o mode=755 none "$folder"; done
mount -t tmpfs -o mode=1777 none tmp
for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
for path; do
    mkdir -p ".$path"
    mount --bind "$path" ".$path"
    mount -o remount,bind,ro ".$path"
    ! touch ".$path/written-by-a-test" 2>/dev/null
done
mkdir -p etc/systemd/system
printf '[Unit]\\nDefaultDependencies=no\\n' >etc/systemd/system/tests.target
ip link set lo up
mount --move . /
exec chroot . env -i container=fidokit PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \\
    /usr/lib/systemd/systemd --unit=tests.target
"""


@dataclass(frozen=True)
class Booted:
    """The machine.

    Args:
        pid: of its process 1, as seen from here.
    """

    pid: int

    def path(self, name: str) -> Path:
        """A file of it, from here."""
        return Path(f"/proc/{self.pid}/root{name}")

    def tried(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """A program that runs there as root."""
        enter = ["nsenter", "-t", str(self.pid), *_ALL_SPACES]
        clean = ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8"]
        return subprocess.run(
            [*enter, *clean, *map(str, command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=180,
            check=False,
        )

    def run(self, *command: str | Path) -> str:
        """As `tried`, and it must succeed; what it printed."""
        done = self.tried(*command)
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """A file there, with the folders above it."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def unit(self, name: str, text: str = "") -> None:
        """A unit, or without a text one of the distribution's, that pulls in nothing of a boot."""
        if text:
            self.write(f"/etc/systemd/system/{name}", text)
        self.write(f"/etc/systemd/system/{name}.d/tests.conf", _ONLY)
        self.run("systemctl", "daemon-reload")


@contextmanager
def booted() -> Iterator[Booted]:
    """Boot one; it ends with the block."""
    folder = tempfile.mkdtemp(prefix="booted-")
    name = Path(folder).name
    command = ["sh", "-c", _GROUP, "sh", folder, name, _ENTER, *map(str, _SHOWN)]
    with popen([*PRIVATE, *command], stdin=subprocess.DEVNULL) as process:
        try:
            yield _ready(process)
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
            _forget(name)


def _ready(process: subprocess.Popen[bytes]) -> Booted:
    """Wait until it takes orders; it is the only child of the program that made its namespaces."""
    until = time.monotonic() + STARTED_S
    while time.monotonic() < until and process.poll() is None:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        machine = Booted(int(children[0])) if children else None
        if machine and machine.path("/run/systemd/private").exists():
            return machine
        time.sleep(0.05)
    raise AssertionError("systemd does not run in namespaces here")


def _forget(name: str) -> None:
    """Take away its groups, which the kernel empties soon after its processes ended."""
    with tempfile.TemporaryDirectory() as place:
        command: Sequence[str] = [*PRIVATE, "sh", "-c", _UNGROUP, "sh", place, name]
        for _ in range(100):
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.05)
