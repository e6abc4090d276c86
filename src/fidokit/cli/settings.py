"""The options that every verb takes, before or after its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Settings:
    """What the command line said apart from the verb's own options.

    Args:
        token: the selector of the token to use.
        json: print JSON.
        verbose: how often -v was given.
        progress: whether spinners may be shown.
        pin_file: the file that holds the PIN, "-" for standard input.
        pin_fd: the descriptor to read the PIN from.
        new_pin_file: the file that holds the new PIN.
        spend_last_try: whether the last PIN try may be spent.
    """

    token: str | None = None
    json: bool = False
    verbose: int = 0
    progress: bool = True
    pin_file: str | None = None
    pin_fd: int | None = None
    new_pin_file: str | None = None
    spend_last_try: bool = False
