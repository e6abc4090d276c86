"""What the command was called as, and the options that every verb takes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "fidokit"


@dataclass
class Settings:
    """What the command line said apart from the verb's own options.

    Args:
        token: the selector of the token to use.
        json: print JSON.
        verbose: how often -v was given.
        progress: whether lines may change while something lasts.
        wait: whether a busy or absent token is waited for, if a user looks on.
        pin_file: the file that holds the PIN, "-" for standard input.
        pin_fd: the descriptor to read the PIN from.
        new_pin_file: the file that holds the new PIN.
        spend_last_try: whether the last PIN try may be spent.
    """

    token: str | None = None
    json: bool = False
    verbose: int = 0
    progress: bool = True
    wait: bool = True
    pin_file: str | None = None
    pin_fd: int | None = None
    new_pin_file: str | None = None
    spend_last_try: bool = False


def this_program() -> Path | None:
    """The fidokit that was called; None if it was called as a module."""
    from pathlib import Path

    called = Path(sys.argv[0])
    return called.absolute() if called.name == PROGRAM and called.is_file() else None


def with_sudo(*words: str) -> str:
    """A command of ours for an administrator; sudo does not search a virtual environment."""
    import shlex

    from fidokit.cli.installation import Installation

    return shlex.join([*Installation().called(by_root=True), *words])
