"""A shell on a terminal of its own, in a home of its own, with a person who answers questions."""

from __future__ import annotations

import errno
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import ioctl
from pathlib import Path

from tests.support.children import popen

COLUMNS = 100
LINES = 40
PATIENCE = 60.0
"""Seconds that one command may take."""

READER_HOME = "/home/charlie"
"""Stands in the pages for the scratch home; as long as its name, so that tables stay in line."""

PIN = "123456"
PASSPHRASE = "correct horse battery"
AGAIN = re.compile(r"(?i)\bagain: ?$")
ANSWERS: Mapping[str, str] = {
    r"PIN.*: ?$": PIN,
    r"tries left\): ?$": PIN,
    r"(?i)passphrase.*: ?$": PASSPHRASE,
    r"\[y/N\] ?$": "y",
    r"\(y/n\)\?? ?$": "y",
    r"File for the key.*: ?$": "",
}
NONE: Mapping[str, Callable[[str], str]] = {}
SPINNER = re.compile(r"^[\u2800-\u28ff] ", re.MULTILINE)
ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])")
SCRIPT = """
cd "$HOME" && [ ! -e "$FIDOKIT_DOCS_STATE" ] || . "$FIDOKIT_DOCS_STATE"
eval "$1"
status=$?
{ export -p; printf 'cd %q\\n' "$PWD"; } >"$FIDOKIT_DOCS_STATE"
exit $status
"""


@dataclass(frozen=True)
class Said:
    """What a command wrote on the terminal, and its exit status; None when it did not end."""

    text: str
    status: int | None


@dataclass
class Shell:
    """Runs commands one after the other; variables and the folder carry over.

    Args:
        home: the scratch home, which the pages call READER_HOME.
        patience: seconds that one command may take.
        prefix: what a command is started by, where it runs on another machine.
        hidden: other paths of this machine, with what the pages call them.
        more_answers: to prompts, before ANSWERS; called with all that was shown so far.
        columns: of the terminal.
    """

    home: Path
    patience: float = PATIENCE
    prefix: Sequence[str] = ()
    hidden: Mapping[str, str] = field(default_factory=dict)
    more_answers: Mapping[str, Callable[[str], str]] = field(default_factory=dict)
    columns: int = COLUMNS
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        programs = Path(sys.executable).parent
        self.environment = {
            "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(self.home),
            "USER": "charlie",
            "LOGNAME": "charlie",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TERM": "xterm",
            "NO_COLOR": "1",
            "FIDOKIT_DOCS_STATE": str(self.home / ".docs-state"),
        }

    def run(self, command: str) -> Said:
        """Run a command as a reader would type it, answering what it asks."""
        raw, status = self.watch(command)
        return Said(self.readable(raw), status)

    def watch(self, command: str) -> tuple[bytes, int | None]:
        """Run a command likewise, for what the terminal got from it, and its exit status."""
        ours, theirs = pty.openpty()
        ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, self.columns, 0, 0))
        with os.fdopen(theirs, "r+b", buffering=0) as terminal:
            process = popen(
                [*self.prefix, "setsid", "--ctty", "--wait", "bash", "-c", SCRIPT, "bash", command],
                cwd=self.home,
                env=self.environment,
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                start_new_session=True,
            )
        try:
            raw, ended = converse(ours, time.monotonic() + self.patience, self.more_answers)
            if not ended:
                end_session(process)
            status = process.wait(timeout=self.patience)
        finally:
            os.close(ours)
        return raw, status if ended else None

    def readable(self, raw: bytes) -> str:
        """Return what a reader sees, without escapes, spinners, overwritten text, our paths."""
        text = ESCAPES.sub("", raw.decode("utf-8", "replace")).replace("\r\n", "\n")
        seen = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.split("\n")]
        page = SPINNER.sub("", "\n".join(seen))
        for path, name in {str(self.home): READER_HOME, **self.hidden}.items():
            page = page.replace(path, name)
        return page.rstrip("\n")


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a command that hangs, with the session that setsid gave it, and nothing else."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for pid in (*map(int, children), process.pid):
        os.killpg(pid, signal.SIGKILL)


def converse(
    terminal: int, deadline: float, more_answers: Mapping[str, Callable[[str], str]] = NONE
) -> tuple[bytes, bool]:
    """Read until the command hangs up, answering prompts; False where the time ran out first."""
    raw, answered, reply = b"", 0, ""
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([terminal], [], [], left)[0]:
            break
        try:
            piece = os.read(terminal, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # what Linux says when the last writer is gone
                raise
            return raw, True
        if not piece:
            return raw, True
        raw += piece
        typed = answer(raw[answered:].decode("utf-8", "replace"), reply)
        for asked, make in more_answers.items():
            if re.search(asked, _prompt(raw[answered:].decode("utf-8", "replace"))):
                typed = make(raw.decode("utf-8", "replace"))
        if typed is not None:
            answered, reply = len(raw), typed
            os.write(terminal, f"{typed}\n".encode())
    return raw, False


def answer(text: str, previous: str = "") -> str | None:
    """Return what the person types after this text; None where nothing is asked."""
    prompt = _prompt(text)
    if AGAIN.search(prompt):
        return previous
    return next((reply for asked, reply in ANSWERS.items() if re.search(asked, prompt)), None)


def _prompt(text: str) -> str:
    return ESCAPES.sub("", text).rpartition("\n")[2]


@contextmanager
def sandbox(patience: float = PATIENCE) -> Iterator[Shell]:
    """Make a shell in an empty home that goes away afterwards."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd run by root insists on it
    with tempfile.TemporaryDirectory(prefix="", dir="/tmp") as folder:
        yield Shell(Path(folder), patience)
