"""The units by which a user's systemd starts the agent: their text, and where they go."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Final

NAMES: Final = ("fidokit-agent.socket", "fidokit-agent.service")
ENABLE: Final = (
    "systemctl --user daemon-reload && systemctl --user enable --now fidokit-agent.socket"
)
"""What makes them count."""
_PROGRAM: Final = "ExecStart=fidokit "
_SPECIAL: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "%": "%%", "$": "$$"})
"""What systemd.service(5) reads as more than itself within quotes."""


def unit_texts(program: Path | None = None) -> dict[str, str]:
    """The units by name, as installed with the package.

    Args:
        program: the fidokit that they start; None leaves it to systemd's search path.
    """
    folder = files("fidokit.system")
    texts = {name: folder.joinpath(name).read_text(encoding="utf-8") for name in NAMES}
    if program is None:
        return texts
    quoted = f'ExecStart="{str(program).translate(_SPECIAL)}" '
    return {name: text.replace(_PROGRAM, quoted) for name, text in texts.items()}


def unit_folder(environ: Mapping[str, str]) -> Path:
    """Where a user's own units are (systemd.unit(5)): $XDG_CONFIG_HOME/systemd/user."""
    base = environ.get("XDG_CONFIG_HOME", "")
    config = Path(base) if base.startswith("/") else Path(environ.get("HOME", "/")) / ".config"
    return config / "systemd" / "user"
