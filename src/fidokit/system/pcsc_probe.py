"""Whether contactless and smart-card tokens can be reached: pcscd and pyscard."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from fidokit.system.findings import Finding, Status
from fidokit.system.host import Host

SOCKET: Final = "/run/pcscd/pcscd.comm"
PLACE: Final = "PCSCLITE_CSOCK_NAME"
"""Names another socket to libpcsclite: a service of the user's own, see docs/transports/pcsc.md."""

_NEEDED = "only tokens over NFC or smart-card readers need it"


def probe(host: Host) -> list[Finding]:
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
