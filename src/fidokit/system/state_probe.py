"""Whether the folders that hold keys and virtual tokens are their owner's alone."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from fidokit.system.findings import Finding, Status
from fidokit.system.host import Host


def state_folder(host: Host) -> Path:
    """`$XDG_STATE_HOME/fidokit`, or `~/.local/state/fidokit` (XDG base directories, 0.8)."""
    base = host.environ.get("XDG_STATE_HOME", "")
    if base.startswith("/"):  # the specification says to ignore a relative one
        return Path(base) / "fidokit"
    return _home(host) / ".local" / "state" / "fidokit"


def _home(host: Host) -> Path:
    return Path(host.environ.get("HOME") or Path.home())


def probe(host: Host) -> list[Finding]:
    """The modes and owners of `~/.ssh` and of the state folder, where they exist."""
    folders = ("ssh-folder", _home(host) / ".ssh"), ("state-folder", state_folder(host))
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
