"""Asking for a PIN through pinentry, the dialog of GnuPG (the Assuan protocol)."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import IO
from urllib.parse import quote, unquote_to_bytes

from fidokit.errors import FidokitError, Interrupted, Malformed

PROGRAM = "pinentry"
LONGEST_LINE = 4096
_TITLE = "Security key"


def available() -> bool:
    """Whether pinentry is there, and has somewhere to show itself."""
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(shutil.which(PROGRAM)) and bool(display or os.environ.get("GPG_TTY"))


def ask(description: str, error: str = "") -> str:
    """Ask for a PIN.

    Args:
        description: what it is for; several lines.
        error: why it is asked for again; empty the first time.

    Raises:
        Interrupted: the user closed the dialog.
        FidokitError: pinentry cannot be run, or says nothing that makes sense.
    """
    command = [PROGRAM]
    if terminal := os.environ.get("GPG_TTY"):
        command += ["--ttyname", terminal, "--ttytype", os.environ.get("TERM", "dumb")]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    except OSError as failure:
        raise FidokitError(f"cannot run {PROGRAM}: {failure.strerror}") from None
    with process:
        assert process.stdin  # noqa: S101  a pipe, as asked for
        assert process.stdout  # noqa: S101  a pipe, as asked for
        dialog = _Dialog(process.stdin, process.stdout)
        try:
            return dialog.ask(description, error)
        finally:
            process.terminate()


class _Dialog:
    def __init__(self, to: IO[bytes], answers: IO[bytes]) -> None:
        self._to = to
        self._answers = answers

    def ask(self, description: str, error: str) -> str:
        self._answer()  # the greeting
        self._say(f"SETTITLE {_TITLE}")
        self._say(f"SETDESC {quote(description, safe=' ')}")
        self._say("SETPROMPT PIN:")
        if error:
            self._say(f"SETERROR {quote(error, safe=' ')}")
        data = self._say("GETPIN")
        try:
            return unquote_to_bytes(data).decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("the answer of pinentry is not UTF-8") from None

    def _say(self, line: str) -> bytes:
        try:
            self._to.write(line.encode("utf-8", "replace") + b"\n")
            self._to.flush()
        except OSError:
            raise FidokitError("pinentry ended without an answer") from None
        return self._answer()

    def _answer(self) -> bytes:
        """The data of an answer, up to its OK."""
        data = b""
        while line := self._answers.readline(LONGEST_LINE).rstrip(b"\n"):
            word, _, rest = line.partition(b" ")
            if word == b"OK":
                return data
            if word == b"ERR":
                raise Interrupted("the question for the PIN was not answered")
            if word == b"D":
                data += rest
        raise FidokitError("pinentry ended without an answer")
