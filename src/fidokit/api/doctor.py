"""What stands between this machine and a working key, named cause by cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fidokit.system.findings import Finding, Status

if TYPE_CHECKING:
    from fidokit.system.host import Host
    from fidokit.token.ports import Backend

__all__ = ["Finding", "Status", "diagnose", "udev_rule_path", "udev_rules"]


def diagnose(
    *, host: Host | None = None, backends: Sequence[Backend] | None = None
) -> list[Finding]:
    """Every check, in the order in which a cause should be looked for. Never raises for one.

    Args:
        host: the machine to look at; this one when None.
    """
    raise NotImplementedError


def udev_rules() -> str:
    """The text of the udev rules that let the seated user open a token."""
    raise NotImplementedError


def udev_rule_path() -> str:
    """Where an administrator puts them."""
    raise NotImplementedError
