"""The udev rules that come with fidokit: their text, and where an administrator puts them."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

RULES_NAME: Final = "70-fidokit.rules"
RULES_PATH: Final = f"/etc/udev/rules.d/{RULES_NAME}"

RELOAD: Final = "sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=hidraw"
"""What makes new rules count for tokens that are plugged in already."""


def rules_text() -> str:
    """The rules file, as installed with the package."""
    return files("fidokit.system").joinpath(RULES_NAME).read_text(encoding="utf-8")


def rule_line() -> str:
    """The one line that mends a missing permission; the rest of the file is comment and guard."""
    return next(line for line in rules_text().splitlines() if line.startswith("ENV{ID_FIDO_TOKEN}"))
