"""The agent under a user's systemd: shown, or written where systemd looks."""

from __future__ import annotations

import os
from pathlib import Path

from fidokit.errors import FileInTheWay
from fidokit.system.user_units import ENABLE, unit_folder, unit_texts

__all__ = ["ENABLE", "install_systemd_units", "systemd_units"]


def systemd_units(program: Path | None = None) -> dict[str, str]:
    """The units by file name.

    Args:
        program: the fidokit that they start.
    """
    return unit_texts(program)


def install_systemd_units(program: Path | None = None, *, force: bool = False) -> list[Path]:
    """Write the units into this user's folder; returns the files, in the order of their names.

    Args:
        program: as `systemd_units`.
        force: replace units that differ.

    Raises:
        FileInTheWay: one is there already and differs; NoPermission, FidokitError: the disk.
    """
    from fidokit.files import atomic
    from fidokit.files.disk_errors import explained

    folder = unit_folder(os.environ)
    texts = {folder / name: text.encode() for name, text in systemd_units(program).items()}
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        changed = [p for p, text in texts.items() if not p.exists() or p.read_bytes() != text]
    taken = [path for path in changed if path.exists()]
    if taken and not force:
        raise FileInTheWay(
            f"{taken[0]} is there already, and differs", hint="replace it with --force"
        )
    for path in changed:
        atomic.replace(path, texts[path], atomic.PUBLIC_MODE)
    return list(texts)
