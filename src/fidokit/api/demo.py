"""The tour: the whole life of two keys on a virtual token, checked at each step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fidokit.errors import FidokitError


class DemoMismatch(FidokitError):
    """The tour found a difference where there must be none."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the tour, done and checked.

    Attributes:
        title: a few words.
        explanation: two or three sentences for a newcomer.
        commands: what one would type for the same, each without prompt sign.
        result: lines of what happened.
    """

    title: str
    explanation: str
    commands: tuple[str, ...]
    result: tuple[str, ...]


def tour(workspace: Path | None = None, *, ssh_keygen: str | None = "ssh-keygen") -> Iterator[Step]:
    """Run the tour step by step; what is yielded has been checked.

    Args:
        workspace: an empty folder to use and keep; a temporary one, removed at the end, if None.
        ssh_keygen: program to compare with, where it is installed; None leaves that out.

    Raises:
        DemoMismatch at the first difference.
    """
    raise NotImplementedError
