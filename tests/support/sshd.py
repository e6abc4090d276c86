"""A throw-away sshd on loopback, with a configuration of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.children import popen
from tests.support.openssh_version import openssh

STARTED_S = 20


@dataclass
class Sshd:
    """A server that runs.

    Args:
        port: on 127.0.0.1.
        folder: its keys, its configuration, and `log`.
        process: itself.
    """

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "sshd_config"

    def log(self) -> str:
        """What it said."""
        return (self.folder / "log").read_text(errors="replace")

    def client(self, *options: str, program: str = "ssh") -> list[str]:
        """ssh (or sftp, scp) for it: knows its host key, reads no configuration, asks nobody."""
        return [
            *(program, "-F", "none", "-oBatchMode=yes", "-oIdentitiesOnly=yes"),
            *(f"-oPort={self.port}", f"-oUserKnownHostsFile={self.folder / 'known_hosts'}"),
            *options,
        ]


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    folder: Path,
    *settings: str,
    sshd: str,
    tail: Sequence[str] = (),
    user: int | None = None,
    within: Sequence[str] = (),
) -> Iterator[Sshd]:
    """Start one; it ends with the block.

    Args:
        folder: for its files; made where it is missing.
        settings: lines of sshd_config, which win over the ones given here.
        sshd: the program's whole path.
        tail: lines for its end, such as Match blocks.
        user: as whom it runs, where that is somebody else.
        within: a program, with its words, that becomes sshd in another place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    _write_files(folder, port, settings, tail, sshd)
    if user is not None:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, -1)
    with (folder / "log").open("wb") as log:
        process = popen(
            [*within, sshd, "-D", "-e", "-f", str(folder / "sshd_config")],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=user,
        )
        server = Sshd(port, folder, process)
        try:
            _wait(server)
            yield server
        finally:
            process.terminate()
            process.wait(30)


def _write_files(
    folder: Path, port: int, settings: Sequence[str], tail: Sequence[str], sshd: str
) -> None:
    host_key = folder / "host_key"
    keygen = shutil.which("ssh-keygen") or "ssh-keygen"
    if not host_key.exists():
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", host_key], check=True)
    public = host_key.with_suffix(".pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {public}")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd's own demand
    lines = [
        *settings,
        # tests fail to log in on purpose, and all of them come from one address
        *(["PerSourcePenalties no"] if openssh(sshd) >= (9, 8) else []),
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {host_key}",
        f"PidFile {folder / 'pid'}",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "StrictModes no",  # tests lie below /tmp, where everybody may write
        "UsePAM no",
        "LogLevel VERBOSE",
        *tail,
    ]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")


def outlast(file: Path, seconds: float) -> None:
    """Wait until a file is that old."""
    while time.time() < file.stat().st_ctime + seconds:
        time.sleep(0.005)


def _wait(server: Sshd) -> None:
    deadline = time.monotonic() + STARTED_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", server.port), 1).close()
        except OSError:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"sshd did not start: {server.log()}") from None
            time.sleep(0.02)
        else:
            return
