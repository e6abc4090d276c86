"""How keys, files and unknowns are named for people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidokit.api import KeyRow


def home_path(path: Path) -> str:
    """A path as people write it: ~ for the home folder."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return str(path)


def yes_no(value: bool | None) -> str:
    """A flag that may be unknown."""
    return {True: "yes", False: "no", None: "?"}[value]


def key_name(row: KeyRow) -> str:
    """A key in a sentence: what it is for, and its fingerprint."""
    user = f" / {row.user}" if row.user else ""
    return f"{row.application}{user} ({row.fingerprint})"
