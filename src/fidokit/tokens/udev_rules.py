"""The udev rules that open tokens to people: shown, or put where udev reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fidokit.errors import FileInTheWay, Malformed, NoPermission, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.system.host import Host
from fidokit.system.udev import (
    GROUP,
    RELOAD,
    RULES_PATH,
    GroupState,
    group_state,
    reload_rules,
    rules_text,
)

__all__ = [
    "GROUP",
    "RELOAD",
    "RULES_PATH",
    "GroupState",
    "Installed",
    "install_udev_rules",
    "rules_text",
]

_MOST: Final = 1 << 16
"""Bytes: a rules file longer than this is not ours."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What installing came to.

    Attributes:
        path: the rules file.
        changed: whether it was written; False if it was there already.
        problem: why udev does not use it yet; None if it does.
        group: what udev makes of the group; only a group that it uses is named in the rules.
    """

    path: Path
    changed: bool
    problem: str | None
    group: GroupState


def install_udev_rules(
    group: str | None = None, *, force: bool = False, host: Host | None = None
) -> Installed:
    """Write the rules whole, and have udev use them.

    Args:
        group: whose members may use tokens, or None for plugdev where that exists.
        force: replace a file that differs.
        host: the machine; this one when None.

    Raises:
        UsageError: no group can have this name, or udev would ignore the named one.
        FileInTheWay: a file is there already and differs, or is not a file.
        NoPermission, FidokitError: this user may not, or the disk refused; nothing was changed.
    """
    host = host or Host()
    name = group or GROUP
    with_group = rules_text(name, with_group=True)
    state = group_state(name, host)
    if group is not None and not state.counts:
        raise _unusable(name, state)
    without = rules_text(name)
    new, other = (with_group, without) if state.counts else (without, with_group)
    path = host.path(RULES_PATH)
    changed = _write(path, new.encode(), other.encode(), force=force)
    return Installed(path, changed, reload_rules(host), state)


def _unusable(group: str, state: GroupState) -> UsageError:
    if state is GroupState.MISSING:
        return UsageError(
            f"there is no group {group} in /etc/group, which is the only place where udev looks",
            hint=f"make it: sudo groupadd --system {group}",
        )
    return UsageError(
        f"{group} is a group for users, and the installed udev ignores such groups",
        hint="make a system group (sudo groupadd --system fido) and name it: --group fido",
    )


def _write(path: Path, text: bytes, other: bytes, *, force: bool) -> bool:
    """Write the file, also over what we wrote before the group came or went."""
    try:
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        atomic.refuse_special(path)
        there = _content(path)
        if there == text:
            return False
        if there not in (None, other) and not force:
            raise FileInTheWay(
                f"{path} already exists and differs",
                hint="compare it with `fidokit udev print`; replace it with --force",
            )
        atomic.replace(path, text, atomic.PUBLIC_MODE)
    except NoPermission as error:
        raise NoPermission(error.message, hint="only root may write udev rules: use sudo") from None
    return True


def _content(path: Path) -> bytes | None:
    """What is there; None for nothing, and something that is never ours where it is too long."""
    if not path.exists():
        return None
    try:
        return read_bounded(path, _MOST)
    except Malformed:
        return b""
