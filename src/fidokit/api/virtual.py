"""Virtual tokens kept under the user's state folder, for tests and trying things out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidokit.virtual.identity import TokenIdentity
    from fidokit.virtual.registry import TokenEntry


@dataclass(frozen=True, slots=True)
class VirtualSummary:
    """One virtual token: `--token virtual:NAME` selects it.

    Attributes:
        profile: how it behaves; empty, as serial and presence, where the file cannot be read;
            then `problem` and `hint` say why.
        model: the certified model that it stands in for, by its maker's name; or empty.
        withheld: what that model has and this token has not.
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
    model: str = ""
    withheld: tuple[str, ...] = ()

    @property
    def selector(self) -> str:
        """What `--token` takes."""
        return f"virtual:{self.name}"


def create_virtual(
    name: str,
    *,
    profile: str | None = None,
    model: str | None = None,
    presence: str = "auto",
) -> VirtualSummary:
    """Create a virtual token.

    Args:
        name: 1 to 64 of A-Z a-z 0-9 . _ - not starting with a dot.
        profile: how it behaves, see `fidokit.virtual.core.profile`; None for `ctap2.3`.
        model: in its place, the certified model that it shall stand in for, by AAGUID or
            description.
        presence: the policy for touches: "auto", "deny", "delay:MS", "prompt" (the
            `Gestures` of an Interaction are asked) or "script".

    Raises:
        UsageError (a bad name, profile, model or policy), WouldOverwrite (it exists),
        StateUnusable, Unsupported (the metadata is not installed).
    """
    from fidokit.api.models import model_document
    from fidokit.virtual import registry

    document = None if model is None else model_document(model)
    made = registry.create(name, profile=profile, model=document, presence=presence)
    return _summary(made)


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
    description, withheld = _model(identity)
    return VirtualSummary(
        name=entry.name,
        path=entry.path,
        serial=identity.serial,
        profile=identity.profile,
        presence=identity.presence,
        created=datetime.fromtimestamp(identity.created, UTC),
        model=description,
        withheld=withheld,
    )


def _model(identity: TokenIdentity) -> tuple[str, tuple[str, ...]]:
    if not identity.model:
        return "", ()
    from fidokit.errors import Malformed
    from fidokit.virtual import models

    try:
        made = models.reopen(identity.model)
    except Malformed:  # told when somebody opens it
        return identity.profile, ()
    return made.description, made.withheld
