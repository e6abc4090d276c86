"""The scripts by which bash, zsh and fish complete our commands: installed and removed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.system.host import home_folder, xdg_folder

_MARK: Final = b"# fidokit completion"
"""At the end of the one line that is ours in a shell's start-up file."""

_MODE: Final = 0o644


@dataclass(frozen=True)
class _Shell:
    """Where a shell's script is kept in our package, and where a user has it.

    Attributes:
        script: its name in our folder of scripts.
        base: the variable that names the folder of such files, and that folder without it.
        place: the file below that folder.
        startup: the file that has to load it, below the folder in `startup_base`; empty if the
            shell looks there by itself.
        startup_base: the variable of that folder; the home folder without it.
    """

    script: str
    base: tuple[str, str]
    place: str
    startup: str = ""
    startup_base: str = ""


_DATA: Final = ("XDG_DATA_HOME", ".local/share")
SHELLS: Final[Mapping[str, _Shell]] = {
    "bash": _Shell("fidokit.bash", _DATA, "bash-completion/completions/fidokit", ".bashrc"),
    "zsh": _Shell("_fidokit", _DATA, "zsh/site-functions/_fidokit", ".zshrc", "ZDOTDIR"),
    "fish": _Shell("fidokit.fish", ("XDG_CONFIG_HOME", ".config"), "fish/completions/fidokit.fish"),
}


@dataclass(frozen=True)
class CompletionFiles:
    """What was done to a user's files.

    Attributes:
        script: the file with the script.
        startup: the start-up file that loads it; None for a shell that needs none.
        changed: whether anything was not yet so.
    """

    script: Path
    startup: Path | None
    changed: bool


def script_for(shell: str) -> str:
    """The script of a shell.

    Args:
        shell: bash, zsh or fish.
    """
    return (Path(__file__).parent / "shells" / SHELLS[shell].script).read_text("utf-8")


def install(shell: str, environ: Mapping[str, str] = os.environ) -> CompletionFiles:
    """Put a shell's script where the user's shells load it; a second time changes nothing.

    Args:
        shell: bash, zsh or fish.
        environ: names the user's folders.

    Raises:
        NoPermission, WouldOverwrite, FidokitError: the disk refuses.
    """
    script, startup = _places(shell, environ)
    with explained(script):
        script.parent.mkdir(parents=True, exist_ok=True)
    changed = _put(script, script_for(shell).encode())
    if startup is not None:
        where = shlex.quote(str(script)).encode()
        line = b"[ -r %b ] && . %b  %b" % (where, where, _MARK)
        changed |= _put(startup, b"".join((_without_ours(startup), line, b"\n")))
    return CompletionFiles(script, startup, changed)


def remove(shell: str, environ: Mapping[str, str] = os.environ) -> CompletionFiles:
    """Take a shell's script away, and the line that loads it.

    Args:
        shell: bash, zsh or fish.
        environ: names the user's folders.

    Raises:
        NoPermission, WouldOverwrite, FidokitError: the disk refuses.
    """
    script, startup = _places(shell, environ)
    with explained(script):
        changed = script.exists()
        script.unlink(missing_ok=True)
    if startup is not None and startup.exists():
        changed |= _put(startup, _without_ours(startup))
    return CompletionFiles(script, startup, changed)


def _places(shell: str, environ: Mapping[str, str]) -> tuple[Path, Path | None]:
    known = SHELLS[shell]
    script = xdg_folder(environ, *known.base) / known.place
    if not known.startup:
        return script, None
    named = environ.get(known.startup_base, "") if known.startup_base else ""
    startup = (Path(named) if named.startswith("/") else home_folder(environ)) / known.startup
    return script, Path(os.path.realpath(startup))  # a link into a folder of settings stays one


def _without_ours(startup: Path) -> bytes:
    """A start-up file without our line, its last line ended."""
    with explained(startup):
        try:
            lines = startup.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return b""
    kept = b"".join(line for line in lines if not line.rstrip().endswith(_MARK))
    return kept if not kept or kept.endswith(b"\n") else kept + b"\n"


def _put(path: Path, data: bytes) -> bool:
    """Whether the file had to be written."""
    with explained(path):
        if path.exists() and path.read_bytes() == data:
            return False
        mode = path.stat().st_mode & 0o7777 if path.exists() else _MODE
    atomic.replace(path, data, mode)
    return True
