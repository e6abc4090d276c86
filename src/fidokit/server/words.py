"""Enums whose members are words, for Python 3.9 as well: what travels to other hosts runs there."""

from __future__ import annotations

from enum import Enum


class Word(str, Enum):  # noqa: UP042  see above
    """A member is its text, and prints as it: `enum.StrEnum`, which Python has from 3.11 on."""

    def __str__(self) -> str:
        return str(self.value)
