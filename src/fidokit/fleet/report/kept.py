"""How each host was when it was checked last, kept in the user's state folder."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from fidokit.errors import MalformedFile
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.fleet.report.host_lines import encode_hosts, host_line, parse_hosts
from fidokit.fleet.report.rows import HostRow
from fidokit.system.host import Host

MOST_BYTES = 1 << 30
_PRIVATE_FOLDER = 0o700


def kept_file() -> Path:
    """Return the path of the file: `$XDG_STATE_HOME/fidokit/fleet/hosts.json`."""
    return Host().state_folder / "fleet" / "hosts.json"


def read_hosts(path: Path) -> dict[str, str]:
    """The lines of hosts by name, of a report or of what is kept; none if there is no file.

    Raises:
        MalformedFile: it is another file.
        FidokitError: it cannot be read.
    """
    with explained(path):
        if not path.exists():
            return {}
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise MalformedFile(f"{path} is too long for a report")
    try:
        return parse_hosts(data)
    except MalformedFile as error:
        raise MalformedFile(
            f"{path} cannot be compared with: {error.message}",
            hint="give a file that `fidokit fleet check --json` wrote, as it wrote it",
        ) from None


def keep(rows: Iterable[HostRow], path: Path) -> None:
    """Put hosts that were checked in the place of what was kept of them; others stay.

    Raises:
        FidokitError: the file cannot be written, or is not one of ours.
    """
    checked = {row.host: host_line(row) for row in rows if row.checked}
    if not checked:
        return
    with explained(path.parent):
        path.parent.mkdir(_PRIVATE_FOLDER, parents=True, exist_ok=True)
    with explained(path), (path.with_suffix(".lock")).open("a") as lock:
        _wait_for(lock.fileno(), path)
        atomic.replace(path, encode_hosts({**read_hosts(path), **checked}))


def _wait_for(descriptor: int, path: Path) -> None:
    """Be the only process that changes the file; the lock ends with the descriptor."""
    if os.name == "posix":
        from fidokit.server.locks import taken

        taken(descriptor, path)


def write_report(path: Path, pieces: Iterable[str]) -> None:
    """Write a report to a file of the user's choice; one that is there is replaced in one step.

    Raises:
        FidokitError: it cannot be written.
    """
    atomic.replace(path, "".join(pieces).encode())
