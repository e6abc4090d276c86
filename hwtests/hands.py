"""Who touches, unplugs and inserts the token: the person at the keyboard, or a command instead."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

Say = Callable[[str], None]
"""Shows the person a line, whatever pytest captures."""

PATIENCE_S = 60
"""Seconds that a command gets for one gesture."""


class Hands(Protocol):
    """What has to be done to the token from outside."""

    def touch(self, why: str) -> None:
        """The token waits for a touch; returns at once."""

    def unplug(self) -> None:
        """Take the token out (or off the reader); may return before it is out."""

    def insert(self) -> None:
        """Put it back; may return before it is in."""


@dataclass
class PersonsHands:
    """Asks the person, on the terminal."""

    say: Say

    def touch(self, why: str) -> None:
        """Ask for a touch."""
        self.say(f">>> TOUCH the token now: {why}")

    def unplug(self) -> None:
        """Ask to take the token away."""
        self.say(">>> UNPLUG the token now (a contactless one: lift it off the reader)")

    def insert(self) -> None:
        """Ask for the token back."""
        self.say(">>> INSERT the token now (a contactless one: lay it on the reader)")


@dataclass
class CommandsHands:
    """Runs a command with `touch`, `unplug` or `insert` as its last argument.

    For laboratories that switch the power of a USB port or move a finger by machine, and for our
    own runs against virtual tokens.

    Args:
        command: as a shell would split it.
        say: hears of a command that failed.
    """

    command: str
    say: Say
    _touching: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def touch(self, why: str) -> None:
        """Start a touch, and do not wait for it: the token is being talked to meanwhile."""
        self._touching = [running for running in self._touching if running.poll() is None]
        self._touching.append(subprocess.Popen([*shlex.split(self.command), "touch"]))

    def wait(self) -> None:
        """Until no touch is going on."""
        for running in self._touching:
            running.wait(PATIENCE_S)

    def unplug(self) -> None:
        """Have the token taken away."""
        self._run("unplug")

    def insert(self) -> None:
        """Have it put back."""
        self._run("insert")

    def _run(self, gesture: str) -> None:
        subprocess.run([*shlex.split(self.command), gesture], check=True, timeout=PATIENCE_S)
