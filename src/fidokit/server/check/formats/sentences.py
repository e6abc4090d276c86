"""The sentences of findings for other programs: one line each, made harmless."""

from __future__ import annotations

from typing import Final

from fidokit.server.check.findings.finding import CheckFinding, DecidingSetting

DOUBT: Final = "cannot be known: "
"""Stands before the message of a doubt in every format."""


def visible(text: str) -> str:
    """Hostile text in one line, with escapes for whatever is not printable."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii")
        for sign in text
    )


def message(finding: CheckFinding) -> str:
    """What a finding says, with its user, its doubt, and the settings that decide."""
    who = f"{finding.user}: " if finding.user else ""
    doubt = DOUBT if finding.doubt else ""
    said = "; ".join(map(setting_text, finding.settings))
    return visible(f"{who}{doubt}{finding.message}{f' ({said})' if said else ''}")


def setting_text(setting: DecidingSetting) -> str:
    """A setting with the line that decides it."""
    at = f"at {place_text(setting.path, setting.line)}" if setting.path else setting.why
    return f"{setting.keyword} {setting.value} {at}"


def place_text(path: str, line: int | None) -> str:
    """A file and a line of it, as compilers write them."""
    return f"{path}:{line}" if line else path
