"""The udev rules of fidokit: their text, where an administrator puts them, reloading."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from fidokit.errors import UsageError
from fidokit.system.host import Host
from fidokit.types import Word

RULES_NAME: Final = "70-fidokit.rules"
RULES_PATH: Final = f"/etc/udev/rules.d/{RULES_NAME}"
PACKAGED_PATH: Final = f"/lib/udev/rules.d/{RULES_NAME}"
"""Where the Debian package puts them; /lib leads to /usr/lib where that is the place."""
GROUP: Final = "plugdev"
"""Whose members use tokens where nobody sits at the machine; Debian's and Ubuntu's own."""

RELOAD: Final = "sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=hidraw"
"""What makes new rules count for tokens that are plugged in already."""

_RELOADING: Final = (
    ("udevadm", "control", "--reload"),
    ("udevadm", "trigger", "--subsystem-match=hidraw"),
)
_GROUP_NAME: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
"""What Debian's useradd(8) takes; it needs no quoting in a rules file."""

_GROUP_LINES: Final = re.compile(r'^#?(ENV\{ID_\w+_TOKEN\}=="1", GROUP="([^"]*)")$', re.MULTILINE)

_LAST_SYSTEM_GROUP: Final = 999
"""systemd's SYSTEM_GID_MAX, as Debian, Fedora and Arch build it."""

_STRICT: Final = 258
"""The first systemd whose udev ignores lines with a group that is missing or not a system group."""


class GroupState(Word):
    """What udev makes of a group's name."""

    USED = "used"
    MISSING = "missing"
    IGNORED = "ignored"
    """A group for users, by its number, which the installed udev does not accept."""
    USED_FOR_NOW = "used-for-now"
    """A group for users; systemd 258 and later will ignore the lines that name it."""

    @property
    def counts(self) -> bool:
        """Whether its members get in."""
        return self in (GroupState.USED, GroupState.USED_FOR_NOW)


def rules_text(group: str = GROUP, *, with_group: bool = False) -> str:
    """The rules file, as installed with the package.

    Args:
        group: whose members may use tokens.
        with_group: put the lines that name the group into effect; they are comments otherwise.

    Raises:
        UsageError: no group can have this name.
    """
    if not _GROUP_NAME.fullmatch(group):
        raise UsageError(
            f"{group!r} cannot be the name of a group",
            hint="small letters, digits, _ and -; at most 32",
        )
    text = files("fidokit.system").joinpath(RULES_NAME).read_text(encoding="utf-8")
    text = text.replace(f'GROUP="{GROUP}"', f'GROUP="{group}"')
    return _GROUP_LINES.sub(r"\1", text) if with_group else text


def active_group(rules: str) -> str | None:
    """The group that a rules file of ours gives tokens to; None if it names none."""
    return next((line[2] for line in _GROUP_LINES.finditer(rules) if line[0][0] != "#"), None)


def group_state(group: str, host: Host) -> GroupState:
    """Whether udev would give a node to this group, by the machine's own list.

    udev does not look elsewhere at boot, so a group of a directory service counts as missing.
    """
    try:
        lines = host.path("/etc/group").read_text("utf-8", "replace").splitlines()
    except OSError:
        return GroupState.MISSING
    for line in lines:
        name, *fields = line.split(":")
        if name == group and len(fields) >= 2 and fields[1].isdecimal():
            if int(fields[1]) <= _LAST_SYSTEM_GROUP:
                return GroupState.USED
            return GroupState.IGNORED if _is_strict(host) else GroupState.USED_FOR_NOW
    return GroupState.MISSING


def _is_strict(host: Host) -> bool:
    """Whether the installed udev ignores groups that are not the system's."""
    said = (host.run(("udevadm", "--version")) or "").split()
    version = said[0].partition(".")[0] if said else ""
    return not version.isdecimal() or int(version) >= _STRICT


def reload_rules(host: Host) -> str | None:
    """Have udev read its rules again and go over the tokens that are plugged in.

    Returns:
        Why it did not, as udevadm says it; None if it did.
    """
    for command in _RELOADING:
        said = host.run(command)
        if said is None:
            return "udevadm is not installed"
        if said.strip():  # udevadm is silent where all went well
            return said.strip().splitlines()[0]
    return None
