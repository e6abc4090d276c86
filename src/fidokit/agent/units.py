"""The agent under a user's systemd: its units, shown, or written where systemd looks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from fidokit.errors import FileInTheWay
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.system.host import xdg_folder

NAMES: Final = ("fidokit-agent.socket", "fidokit-agent.service")
ENABLE: Final = (
    "systemctl --user daemon-reload && systemctl --user enable --now fidokit-agent.socket"
)
"""What makes them count."""
_PROGRAM: Final = "ExecStart=fidokit "
_SPECIAL: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$"})
"""What systemd.service(5) reads as more than itself within quotes."""


def systemd_units(program: Path | None = None) -> dict[str, str]:
    """The units by file name, as installed with the package.

    Args:
        program: the fidokit that they start; None leaves it to systemd's search path.
    """
    folder = files("fidokit.agent")
    texts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in NAMES}
    if program is None:
        return texts
    quoted = f'ExecStart="{str(program).translate(_SPECIAL)}" '
    return {name: text.replace(_PROGRAM, quoted) for name, text in texts.items()}


def unit_folder(environ: Mapping[str, str]) -> Path:
    """Where a user's own units are (systemd.unit(5)): $XDG_CONFIG_HOME/systemd/user."""
    return xdg_folder(environ, "XDG_CONFIG_HOME", ".config") / "systemd" / "user"


def install_systemd_units(program: Path | None = None, *, force: bool = False) -> list[Path]:
    """Write the units into this user's folder; returns the files, in the order of their names.

    Args:
        program: as `systemd_units`.
        force: replace units that differ.

    Raises:
        FileInTheWay: one is there already and differs; NoPermission, FidokitError: the disk.
    """
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
