"""Which users have a password: what /etc/shadow says, without what it hides.

Source: shadow(5), passwd(5), crypt(5). No hash leaves this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

SHADOW: Final = Path("/etc/shadow")
_NO_HASH: Final = ("*", "!")
_DAY: Final = 86400


class Password(StrEnum):
    """What is known of a user's password."""

    SET = "set"
    EMPTY = "empty"
    LOCKED = "locked"  # `passwd -l`: a hash behind a !, or a ! alone
    NONE = "none"  # a * or the like, which no password fits
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Entry:
    """A user's line.

    Attributes:
        expires: seconds since 1970 after which the account is closed; None is never.
    """

    password: Password
    expires: int | None = None


def parse(text: str) -> Mapping[str, Entry]:
    """The users in a shadow file; lines of another form are passed over."""
    return dict(_entries(text))


def _entries(text: str) -> Iterator[tuple[str, Entry]]:
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) > 1 and fields[0]:
            day = fields[7] if len(fields) > 7 else ""
            expires = int(day) * _DAY if day.isascii() and day.isdigit() else None
            yield fields[0], Entry(state_of(fields[1]), expires)


def state_of(field: str) -> Password:
    """What a password field means."""
    if not field:
        return Password.EMPTY
    if field.startswith("!"):
        return Password.LOCKED
    # Everything that crypt(3) makes is longer; shorter is no hash.
    return Password.SET if len(field) >= 13 and not field.startswith(_NO_HASH) else Password.NONE


def read(path: Path = SHADOW) -> Mapping[str, Entry] | None:
    """The machine's users; None where this user may not look, or nothing is there."""
    try:
        return parse(path.read_text("utf-8", "surrogateescape"))
    except OSError:
        return None


def entry_of(name: str, field: str, entries: Mapping[str, Entry] | None) -> Entry:
    """A user's line, or what the user database's own password field (passwd(5)) says.

    Args:
        field: `x` where the password is kept elsewhere.
        entries: as `read` gives them.
    """
    if entries and name in entries:
        return entries[name]
    password = state_of(field)
    elsewhere = password not in {Password.SET, Password.EMPTY}
    return Entry(Password.UNKNOWN if elsewhere else password)
