"""A virtual machine with a real kernel, and running programs in it over ssh on loopback."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.kernel.image import USER, Image, image, require_programs, sources
from tests.support.children import popen
from tests.support.sshd import free_port

KERNEL_LINE = (
    # without the check: on a busy machine the emulated timer fails it, and Linux panics
    "no_timer_check console=ttyS0 root=/dev/vda rw quiet init=/sbin/fidokit-init net.ifnames=0"
)
BOOT_S = 180
COMMAND_S = 120
PYTHONPATH = "/opt/fidokit/src:/opt/fidokit/site:/opt/fidokit"


@dataclass(frozen=True)
class Done:
    """How a program in the guest ended."""

    code: int
    out: str
    err: str

    def ok(self) -> str:
        """What it printed; the test fails where it failed."""
        assert self.code == 0, f"exit status {self.code}\n{self.out}\n{self.err}"
        return self.out


@dataclass
class Machine:
    """A guest that is up.

    Args:
        folder: its log and keys.
        port: of its sshd, on this machine's loopback.
        process: qemu.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    users: tuple[str, ...] = field(default=("root", USER))

    def run(
        self, command: str, *, user: str = "root", stdin: str = "", limit: int = COMMAND_S
    ) -> Done:
        """Run a line of shell in the guest; `fidokit` means ours.

        Args:
            command: for bash.
            user: root or charlie.
            stdin: its input.
            limit: seconds.
        """
        setting = f"export PYTHONPATH={PYTHONPATH} PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8; "
        ours = 'fidokit() { python3 -m fidokit --no-progress "$@"; }; '
        done = subprocess.run(
            [*self._ssh(user), "bash -c " + shlex.quote(setting + ours + command)],
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def typed(
        self, command: str, *answers: tuple[str, str], user: str = "root", limit: int = COMMAND_S
    ) -> Done:
        """Run a command on a terminal in the guest; each answer is typed when its prompt shows.

        Both streams come in `out`.
        """
        script = json.dumps({"answers": answers, "command": command})
        return self.run("python3 /opt/fidokit/guest/typed.py", user=user, stdin=script, limit=limit)

    def _ssh(self, user: str) -> list[str]:
        control = self.folder / f"{user}.ctl"
        return [
            *("ssh", "-F", "none", "-T", "-p", str(self.port), "-i", str(self.folder / "key")),
            *("-oBatchMode=yes", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"),
            *("-oLogLevel=ERROR", "-oControlMaster=auto", "-oControlPersist=yes"),
            *(f"-oControlPath={control}", f"{user}@127.0.0.1"),
        ]

    def log(self) -> str:
        """The console."""
        return (self.folder / "console").read_text(errors="replace")

    def close(self) -> None:
        """Hang up and switch it off."""
        for user in self.users:
            subprocess.run([*self._ssh(user), "-O", "exit"], capture_output=True, check=False)
        self.process.kill()
        self.process.wait()


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot one; it is off after the block.

    Raises:
        Missing: this machine cannot.
    """
    require_programs()
    found = image()
    key = folder / "key"
    keygen = shutil.which("ssh-keygen") or "ssh-keygen"
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    disk = sources(folder, key.with_suffix(".pub"))
    machine = _start(folder, found, disk)
    try:
        _wait(machine)
        yield machine
    finally:
        machine.close()


def _start(folder: Path, found: Image, disk: Path) -> Machine:
    port = free_port()
    with (folder / "console").open("wb") as console:
        process = popen(
            [
                *("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max"),
                *("-m", "1024", "-smp", "2", "-nographic", "-no-reboot", "-nodefaults"),
                *("-serial", "stdio", "-kernel", str(found.kernel), "-initrd", str(found.initrd)),
                *("-drive", f"file={found.disk},format=raw,if=virtio,snapshot=on"),
                *("-drive", f"file={disk},format=raw,if=virtio,snapshot=on"),
                *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{port}-:22"),
                *("-device", "virtio-net-pci,netdev=net"),
                "-append",
                KERNEL_LINE,
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
        )
    return Machine(folder, port, process)


def _wait(machine: Machine) -> None:
    deadline = time.monotonic() + BOOT_S
    while "fidokit-guest-is-up" not in machine.log():
        assert machine.process.poll() is None, f"qemu ended:\n{machine.log()}"
        assert time.monotonic() < deadline, f"the guest does not come up:\n{machine.log()}"
        time.sleep(0.1)
    machine.run(
        "mkfifo /run/nursery; setsid python3 /opt/fidokit/guest/nursery.py /run/nursery "
        "</dev/null >/tmp/nursery.log 2>&1 &"
    ).ok()
