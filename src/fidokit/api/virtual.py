"""Virtual tokens kept under the user's state folder, for tests and trying things out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidokit.virtual.registry import TokenEntry


@dataclass(frozen=True, slots=True)
class VirtualSummary:
    """One virtual token: `--token virtual:NAME` selects it.

    Attributes:
        profile: which model it stands for; empty, as serial and presence, where the file cannot
            be read; then `problem` and `hint` say why.
        presence: how a touch is answered: "auto", "deny", ...
        created: UTC.
    """

    name: str
    path: Path
    serial: str = ""
    profile: str = ""
    presence: str = ""
    created: datetime | None = None
    problem: str = ""
    hint: str = ""

    @property
    def selector(self) -> str:
        """What `--token` takes."""
        return f"virtual:{self.name}"


def create_virtual(
    name: str, *, profile: str = "ctap2.3", presence: str = "auto"
) -> VirtualSummary:
    """Create a virtual token.

    Args:
        name: 1 to 64 of A-Z a-z 0-9 . _ - not starting with a dot.
        profile: which model, see `fidokit.virtual.core.profile`.
        presence: the policy for touches: "auto", "deny", "delay:MS", "prompt" (the
            `Gestures` of an Interaction are asked) or "script".

    Raises:
        UsageError (a bad name, profile or policy), WouldOverwrite (it exists), StateUnusable.
    """
    from fidokit.virtual import registry

    return _summary(registry.create(name, profile=profile, presence=presence))


def list_virtual() -> list[VirtualSummary]:
    """The virtual tokens there are, by name; unusable ones with their problem.

    Raises:
        StateUnusable: the state folder cannot be read.
    """
    from fidokit.virtual import registry

    return [_summary(entry) for entry in registry.list_tokens()]


def delete_virtual(name: str) -> None:
    """Delete a virtual token and every key in it.

    Raises:
        TokenNotFound, TokenBusy (another process has it plugged in), StateUnusable.
    """
    from fidokit.virtual import registry

    registry.delete(name)


def _summary(entry: TokenEntry) -> VirtualSummary:
    identity, problem = entry.identity, entry.problem
    if identity is None:
        return VirtualSummary(
            entry.name,
            entry.path,
            problem=problem.message if problem else "its file cannot be read",
            hint=problem.hint if problem else "",
        )
    return VirtualSummary(
        name=entry.name,
        path=entry.path,
        serial=identity.serial,
        profile=identity.profile,
        presence=identity.presence,
        created=datetime.fromtimestamp(identity.created, UTC),
    )
