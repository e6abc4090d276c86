"""Runs the tour's commands as a newcomer would type them, and keeps what they print."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError

_EXPORT = "export "
_ANSWERS = """#!/bin/sh
case "$1" in *PIN*) echo {pin} ;; *) echo ;; esac
"""
_PROGRAM = """#!/bin/sh
exec "{python}" -m fidokit "$@"
"""
_LIMIT_S: Final = 120
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
COLUMNS: Final = 76
"""Of the terminal that commands see: the tour sets what they print in by some."""


class Stage:
    """A folder in which commands run, with a token's state and a user's answers of its own.

    Args:
        folder: an empty folder.
        pin: what is answered where a PIN is asked for; passphrases stay empty.
    """

    def __init__(self, folder: Path, pin: str) -> None:
        folder = folder.absolute()
        self._desk = folder / "desk"
        aside = folder / "aside"
        for place in (self._desk, aside, aside / "bin"):
            place.mkdir(mode=0o700)
        answers = _script(aside / "answers", _ANSWERS.format(pin=pin))
        _script(aside / "bin" / "fidokit", _PROGRAM.format(python=sys.executable))
        self._env = {
            **{name: value for name, value in os.environ.items() if name != "FIDOKIT_TOKEN"},
            "HOME": str(self._desk),
            "NO_COLOR": "1",
            "TERM": "xterm",
            "PATH": f"{aside / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "SSH_ASKPASS": str(answers),
            "SSH_ASKPASS_REQUIRE": "force",
            "XDG_CONFIG_HOME": str(aside),
            "XDG_STATE_HOME": str(aside),
        }

    def run(self, command: str) -> Sequence[str]:
        """Run one command; returns the lines that it printed.

        Raises:
            FidokitError: it failed; what it printed is in the message.
        """
        if command.startswith(_EXPORT):
            name, _, value = command.removeprefix(_EXPORT).partition("=")
            self._env[name] = value
            return ()
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, COLUMNS))
        child = subprocess.Popen(  # noqa: S603  the tour's own commands
            ["/bin/sh", "-c", command],
            cwd=self._desk,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            printed = _printed(ours)
        finally:
            os.close(ours)
        if child.wait(_LIMIT_S):
            raise FidokitError(f"{command} failed: {' '.join(printed)}")
        return printed


def _printed(terminal: int) -> list[str]:
    """The lines that stay on a terminal: without colors, and without what was overwritten."""
    data = b""
    with suppress(OSError):  # EIO: the other side is closed
        while piece := os.read(terminal, 65536):
            data += piece
    lines = data.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    plain = [_ESCAPE.sub("", line).rpartition("\r")[2].rstrip() for line in lines]
    return plain[:-1] if plain and not plain[-1] else plain


def _script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o700)
    return path
