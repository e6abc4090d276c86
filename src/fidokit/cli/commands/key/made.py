"""What is said of keys that were made."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fidokit.cli import schema
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt.text import is_fancy

if TYPE_CHECKING:
    from fidokit.keys.generation import Generated


def show_made(settings: Settings, made: Sequence[Generated]) -> None:
    """Tell of a key and its backups, in that order."""
    data = {"key": schema.generated(made[0])}
    backups = [schema.generated(backup) for backup in made[1:]]
    show(settings, {**data, "backups": backups}, Lines(_said(made)))


def _said(made: Sequence[Generated]) -> list[str]:
    first, *backups = made
    public = home_path(first.public_path)
    parts = ["The key is made.", *_parts(first)]
    for backup in backups:
        parts += ["", "Its backup is made.", *_parts(backup)]
    warnings = [f"note: {warning}" for one in made for warning in one.warnings]
    known = "it and its backup" if backups else "it"
    parts += ["", f"Next, let a server know {known}:"]
    parts += [f"  fidokit server authorize {public} --host user@host"]
    if not backups:
        parts += ["or add this line to ~/.ssh/authorized_keys there:", f"  {first.public_line}"]
    return [*parts, *warnings]


def _parts(made: Generated) -> list[str]:
    art = ["", *made.randomart.splitlines()] if is_fancy(sys.stdout) else []
    attested = (
        [f"  attestation  {home_path(made.attestation_path)}"] if made.attestation_path else []
    )
    return [
        f"  private key  {home_path(made.path)}",
        f"  public key   {home_path(made.public_path)}",
        *attested,
        f"  fingerprint  {made.fingerprint}",
        *art,
    ]
