"""What is found on this machine: the SSH agent, PC/SC, folders with secrets; as findings."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from fidokit.system.host import Host


class Status(StrEnum):
    """How a check stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome.

    Attributes:
        check: a short stable name, such as "hid-permission".
        sentence: what was found, without a full stop at its end.
        hint: what to do next; empty where there is nothing to do.
    """

    check: str
    status: Status
    sentence: str
    hint: str = ""


# --- the SSH agent (PROTOCOL.agent: request 11, answer 12) -------------------------------------

REQUEST_IDENTITIES: Final = b"\x0b"
IDENTITIES_ANSWER: Final = 0x0C

_START = 'start one with `eval "$(ssh-agent)"`, or log in to a desktop session that has one'


def probe_agent(host: Host) -> list[Finding]:
    """Whether SSH_AUTH_SOCK leads to an agent that answers, and how many keys it has."""
    path = host.environ.get("SSH_AUTH_SOCK", "")
    if not path:
        return [Finding("agent", Status.WARN, "no SSH agent: SSH_AUTH_SOCK is not set", _START)]
    try:
        answer = host.exchange(path, REQUEST_IDENTITIES)
    except OSError as error:
        return [_bad(_sentence(error).format(path=path))]
    if len(answer) < 5 or answer[0] != IDENTITIES_ANSWER:
        return [_bad(f"what listens at {path} is no SSH agent, or it is locked")]
    count = int.from_bytes(answer[1:5], "big")
    keys = "1 key" if count == 1 else f"{count} keys"
    return [Finding("agent", Status.OK, f"the SSH agent answers and holds {keys}")]


_SENTENCES: Final[Mapping[type[OSError], str]] = {
    FileNotFoundError: "SSH_AUTH_SOCK names {path}, which does not exist",
    PermissionError: "this user may not talk to the SSH agent at {path}",
    ConnectionRefusedError: "the SSH agent behind {path} has ended",
}


def _sentence(error: OSError) -> str:
    return _SENTENCES.get(type(error), "the SSH agent at {path} does not answer")


def _bad(sentence: str) -> Finding:
    return Finding("agent", Status.FAIL, sentence, _START)


# --- contactless and smart-card tokens: pcscd and pyscard -------------------------------------

SOCKET: Final = "/run/pcscd/pcscd.comm"
PLACE: Final = "PCSCLITE_CSOCK_NAME"
"""Names another socket to libpcsclite: a service of the user's own, see docs/transports/pcsc.md."""

_NEEDED = "only tokens over NFC or smart-card readers need it"


def probe_pcsc(host: Host) -> list[Finding]:
    """Whether pyscard is installed and the PC/SC daemon runs, or would start on demand."""
    if not host.has_module("smartcard"):
        return [
            Finding(
                "pcsc",
                Status.WARN,
                f"pyscard is not installed; {_NEEDED}",
                "install fidokit with its extra: `pipx install 'fidokit[pcsc]'`",
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
                "look at the socket's mode, and at polkit's rules for org.debian.pcsc-lite",
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
    """The modes and owners of `~/.ssh` and of the state folder, where they exist."""
    folders = ("ssh-folder", host.home / ".ssh"), ("state-folder", host.state_folder)
    return [finding for check, folder in folders for finding in _judge(host, check, folder)]


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
            f"`sudo chown -R $USER {folder}`",
        )
    elif mode & 0o077:
        yield Finding(
            check,
            Status.WARN,
            f"others may look into {folder} (mode {mode:04o})",
            f"`chmod 700 {folder}`",
        )
    else:
        yield Finding(check, Status.OK, f"{folder} is yours alone")
