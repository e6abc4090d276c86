"""The udev rules of fidokit: their text, where an administrator puts them, reloading."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from fidokit.errors import UsageError
from fidokit.system.host import Host

RULES_NAME: Final = "70-fidokit.rules"
RULES_PATH: Final = f"/etc/udev/rules.d/{RULES_NAME}"
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


def rules_text(group: str = GROUP) -> str:
    """The rules file, as installed with the package.

    Args:
        group: whose members may use tokens.

    Raises:
        UsageError: no group can have this name.
    """
    if not _GROUP_NAME.fullmatch(group):
        raise UsageError(
            f"{group!r} is no name of a group", hint="small letters, digits, _ and -; 32 at most"
        )
    text = files("fidokit.system").joinpath(RULES_NAME).read_text(encoding="utf-8")
    return text.replace(f'GROUP="{GROUP}"', f'GROUP="{group}"')


def rule_line() -> str:
    """The one line that mends a missing permission; the rest of the file is comment and guard."""
    return next(
        line for line in rules_text().splitlines() if line.startswith('ENV{ID_FIDO_TOKEN}=="1"')
    )


def group_exists(group: str, host: Host) -> bool:
    """Whether this machine's own list has the group; udev does not look elsewhere at boot."""
    try:
        lines = host.path("/etc/group").read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{group}:") for line in lines)


def reload_rules(host: Host) -> str | None:
    """Have udev read its rules again and go over the tokens that are plugged in.

    Returns:
        Why it did not, as udevadm says it; None where it did.
    """
    for command in _RELOADING:
        said = host.run(command)
        if said is None:
            return "udevadm is not installed"
        if said.strip():  # udevadm is silent where all went well
            return said.strip().splitlines()[0]
    return None
