"""The agent under a user's systemd: its units, shown, or written where systemd looks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

from fidokit.agent.desktop_agent import desktop_agent
from fidokit.errors import FileInTheWay
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.system.host import xdg_folder

NAMES: Final = ("fidokit-agent.socket", "fidokit-agent.service")
ENABLE: Final = (
    "systemctl --user daemon-reload && systemctl --user enable --now fidokit-agent.socket"
)
"""What makes them count."""
_SYSTEMCTL: Final = ("systemctl", "--user")
_WAIT_S: Final = 60.0
_VARIABLE: Final = "SSH_AUTH_SOCK"
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
        raise FileInTheWay(f"{taken[0]} already exists and differs", hint="replace it with --force")
    for path in changed:
        atomic.replace(path, texts[path], atomic.PUBLIC_MODE)
    return list(texts)


def start_systemd_units() -> str:
    """Have systemd read the units, and open the agent's socket now and at each login.

    Returns:
        Why it could not be done; empty if it was.
    """
    return _systemctl("daemon-reload") or _systemctl("enable", "--now", NAMES[0])


def remove_systemd_units(*, force: bool = False) -> list[Path]:
    """Stop the agent, take this user's units away, and give SSH_AUTH_SOCK back to the desktop's
    agent; returns the files that were removed.

    Args:
        force: remove units that differ from ours, too.

    Raises:
        FileInTheWay: one differs; NoPermission, FidokitError: the disk.
    """
    folder = unit_folder(os.environ)
    there = [folder / name for name in NAMES if os.path.lexists(folder / name)]
    changed = [path for path in there if not _is_ours(path)]
    if changed and not force:
        raise FileInTheWay(
            f"{changed[0]} was changed after it was installed", hint="remove it with --force"
        )
    if not there:
        return []
    _systemctl("disable", "--now", *NAMES)
    with explained(folder):
        for path in there:
            path.unlink()
    _systemctl("daemon-reload")
    _give_back()
    return there


def _is_ours(path: Path) -> bool:
    """Whether a unit is what `systemd_units` gives, for whatever program."""
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    ours = systemd_units()[path.name].splitlines()
    return len(text) == len(ours) and all(
        mine == found or (mine.startswith(_PROGRAM) and found.endswith(mine.partition(" ")[2]))
        for mine, found in zip(ours, text, strict=True)
    )


def _give_back() -> None:
    """Programs that are started from now on find the agent that they would find without ours."""
    own = Path(os.environ.get("XDG_RUNTIME_DIR", "")) / "fidokit" / "agent.sock"
    path = desktop_agent(os.environ, own)
    if path is None:
        _systemctl("unset-environment", _VARIABLE)
    else:
        _systemctl("set-environment", f"{_VARIABLE}={path}")


def _systemctl(*words: str) -> str:
    """Why it failed, its own words; empty if it did not."""
    try:
        done = subprocess.run(  # noqa: S603  stock, and words of ours
            [*_SYSTEMCTL, *words], capture_output=True, check=False, timeout=_WAIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stderr.decode("utf-8", "replace").strip()
    return "" if done.returncode == 0 else said or f"exit status {done.returncode}"
