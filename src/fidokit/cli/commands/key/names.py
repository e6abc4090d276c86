"""How keys and unknowns are named for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.prompt.text import escape

if TYPE_CHECKING:
    from fidokit.inventory import KeyRow


def yes_no(value: bool | None) -> str:
    """A flag that may be unknown."""
    return {True: "yes", False: "no", None: "?"}[value]


def key_name(row: KeyRow) -> str:
    """A key in a sentence on one line, harmless for a terminal: what it is for, its fingerprint."""
    user = f" / {row.user}" if row.user else ""
    return escape(f"{row.application}{user} ({row.fingerprint})")
