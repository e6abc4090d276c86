"""What is found on this machine: PC/SC, folders and files with secrets; as findings."""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from fidokit.findings import DOCTOR
from fidokit.system.host import Host
from fidokit.types import Word


class Status(Word):
    """How a check stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One check's outcome.

    Attributes:
        check: a short stable name, such as "hid-permission"; `findings.DOCTOR` has its id.
        sentence: what was found, without a full stop at its end.
        hint: what to do next; empty if there is nothing to do.
    """

    check: str
    status: Status
    sentence: str
    hint: str = ""

    @property
    def id(self) -> str:
        """The stable id of what was checked (docs/findings.md)."""
        return DOCTOR[self.check].id


# --- contactless and smart-card tokens: pcscd and pyscard -------------------------------------

SOCKET: Final = "/run/pcscd/pcscd.comm"
PLACE: Final = "PCSCLITE_CSOCK_NAME"
"""Names another socket to libpcsclite: a service of the user's own, see docs/transports/pcsc.md."""

_NEEDED = "only tokens on NFC or smart-card readers need it"


def probe_pcsc(host: Host) -> list[Finding]:
    """Whether pyscard is installed and the PC/SC daemon runs, or would start on demand."""
    if not host.has_module("smartcard"):
        return [
            Finding(
                "pcsc",
                Status.WARN,
                f"pyscard is not installed; {_NEEDED}",
                "install it: `pip install 'fidokit[pcsc]'`",
            )
        ]
    if not host.platform.startswith("linux"):
        return [Finding("pcsc", Status.OK, "pyscard is installed; the system has its own PC/SC")]
    where = host.environ.get(PLACE) or SOCKET
    if not host.path(where).exists():
        return [
            Finding(
                "pcsc",
                Status.WARN,
                f"there is no PC/SC daemon{_elsewhere(where)}; {_NEEDED}",
                "`sudo apt install pcscd`, then `sudo systemctl start pcscd.socket`",
            )
        ]
    if not host.access(host.path(where)):
        return [
            Finding(
                "pcsc",
                Status.FAIL,
                f"this user may not talk to the PC/SC daemon at {where}",
                "check the socket's mode, and polkit's rules for org.debian.pcsc-lite",
            )
        ]
    state = "runs" if daemon_runs(host) else "starts on demand"
    return [Finding("pcsc", Status.OK, f"the PC/SC daemon {state}")]


def _elsewhere(where: str) -> str:
    return "" if where == SOCKET else f" at {where}, where {PLACE} says"


def daemon_runs(host: Host) -> bool:
    """Whether a process of that name is there."""
    for comm in host.path("/proc").glob("[0-9]*/comm"):
        with suppress(OSError):
            if comm.read_bytes().strip() == b"pcscd":
                return True
    return False


# --- folders that hold keys and virtual tokens ------------------------------------------------


def probe_folders(host: Host) -> list[Finding]:
    """The modes and owners of `~/.ssh`, its private keys and the state folder, where they exist."""
    ssh = host.home / ".ssh"
    folders = ("ssh-folder", ssh), ("state-folder", host.state_folder)
    found = [finding for check, folder in folders for finding in _judge(host, check, folder)]
    return [*found, *_judge_keys(host, ssh)]


_PRIVATE_KEY: Final = re.compile(rb"\A-----BEGIN [A-Z ]*PRIVATE KEY-----")
_FIRST_LINE: Final = 64
_MOST_FILES: Final = 1000
"""How many files of `~/.ssh` are looked at; sockets of ControlPath are among them."""


def _judge_keys(host: Host, folder: Path) -> Iterator[Finding]:
    """ssh refuses private keys of its user that others may read (OpenSSH, sshkey_perm_ok)."""
    open_to_others = sorted(path for path in _files(folder) if _is_open_key(host, path))
    if open_to_others:
        names = ", ".join(str(path) for path in open_to_others)
        yield Finding(
            "private-key-mode",
            Status.FAIL,
            f"ssh ignores private keys that other users can read: {names}",
            f"`chmod 600 {shlex.join(str(path) for path in open_to_others)}`",
        )


def _files(folder: Path) -> list[Path]:
    try:
        return list(islice(folder.iterdir(), _MOST_FILES))
    except OSError:
        return []


def _is_open_key(host: Host, path: Path) -> bool:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_uid != host.user_id:
            return False
        if not stat.S_IMODE(status.st_mode) & 0o077:
            return False
        with path.open("rb") as file:
            return _PRIVATE_KEY.match(file.read(_FIRST_LINE)) is not None
    except OSError:
        return False


def _judge(host: Host, check: str, folder: Path) -> Iterator[Finding]:
    try:
        status = folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        yield Finding(check, Status.FAIL, f"{folder}: {os.strerror(error.errno or 0)}", "check it")
        return
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        yield Finding(check, Status.FAIL, f"{folder} is not a folder", "move it away")
    elif status.st_uid != host.user_id:
        yield Finding(
            check,
            Status.FAIL,
            f"{folder} belongs to another user (id {status.st_uid})",
            f"`sudo chown -R $USER {shlex.quote(str(folder))}`",
        )
    elif mode & 0o077:
        yield Finding(
            check,
            Status.WARN,
            f"other users can read {folder} (mode {mode:04o})",
            f"`chmod 700 {shlex.quote(str(folder))}`",
        )
    else:
        yield Finding(check, Status.OK, f"only you can read {folder}")
