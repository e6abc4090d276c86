"""Virtual tokens kept under the user's state folder, for tests and trying things out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class VirtualSummary:
    """One virtual token: `--token virtual:NAME` selects it."""

    name: str
    path: Path
    profile: str = ""
    problem: str = ""

    @property
    def selector(self) -> str:
        """What `--token` takes."""
        return f"virtual:{self.name}"


def create_virtual(
    name: str, *, profile: str = "ctap2.3", presence: str = "auto"
) -> VirtualSummary:
    """Create a virtual token.

    Raises:
        UsageError (a bad name), WouldOverwrite (it exists), StateUnusable.
    """
    raise NotImplementedError


def list_virtual() -> list[VirtualSummary]:
    """The virtual tokens there are, by name."""
    raise NotImplementedError


def delete_virtual(name: str) -> None:
    """Delete a virtual token and every key in it.

    Raises:
        TokenNotFound, TokenBusy (another process has it plugged in), StateUnusable.
    """
    raise NotImplementedError
