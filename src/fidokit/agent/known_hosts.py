"""The known_hosts files of this user and machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.lines.known_hosts import LONGEST_FILE, KnownHost, parse_known_hosts

GLOBAL: Final = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))


def known_hosts(files: Sequence[Path] = ()) -> list[KnownHost]:
    """What these files say; those that ssh looks into when none are named.

    A file that is not there, or cannot be read, says nothing.
    """
    lines: list[KnownHost] = []
    for path in files or default_files():
        try:
            text = read_bounded(path, LONGEST_FILE).decode("utf-8", "replace")
        except FidokitError:
            continue
        lines.extend(parse_known_hosts(text))
    return lines


def default_files() -> Sequence[Path]:
    """UserKnownHostsFile and GlobalKnownHostsFile, as ssh_config(5) has them without settings."""
    folder = Path.home() / ".ssh"
    return [folder / "known_hosts", folder / "known_hosts2", *GLOBAL]
