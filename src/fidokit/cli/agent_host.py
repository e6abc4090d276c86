"""What an agent needs of the machine it runs on: a background, a log, a user who says yes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from fidokit.agent.core.ports import Consent
from fidokit.prompt import questions
from fidokit.prompt.text import columns, escape, escape_lines, fitted, note

METHODS = ("auto", "terminal", "askpass", "pinentry")
"""How a PIN can be asked for."""

POLL_S = 0.1
LONGEST_ANSWER = 1024
YES = frozenset({"", "yes", "y"})
"""What SSH_ASKPASS may print for a yes, beside its exit status (ssh-agent takes the same)."""


@contextmanager
def detaching(background: bool) -> Iterator[Callable[[], None]]:
    """Fork if that is wanted; the block goes on in the process that stays.

    Yields a function that lets go of the terminal and of what started us. Until then the process
    has the terminal, and can ask for what it needs to start; whoever started us waits for it, and
    gets its status where it fails.
    """
    if not background:
        yield lambda: None
        return
    ready, tell = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.close(tell)
        _leave_when(ready, child)
    os.close(ready)

    def detach() -> None:
        os.setsid()
        os.chdir("/")  # no file system is kept busy
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        os.close(nothing)
        os.write(tell, b"!")

    try:
        yield detach
    finally:
        os.close(tell)


def _leave_when(ready: int, child: int) -> NoReturn:
    """End with success once the child is ready, else with its status."""
    if os.read(ready, 1):
        os._exit(0)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status))


def log(background: bool) -> Callable[[str], None]:
    """Where the agent's lines go: standard error, or the system's log. Their text is hostile."""
    if not background:
        return lambda line: note(f"agent: {escape(line)}")
    import syslog

    syslog.openlog("fidokit-agent", syslog.LOG_PID, syslog.LOG_AUTH)
    return lambda line: syslog.syslog(syslog.LOG_INFO, escape(line))


class Confirmer:
    """Asks the user to allow the use of a key: on the terminal, or through SSH_ASKPASS."""

    def confirm(self, question: str, stop: threading.Event) -> Consent:
        """What the user said; DECLINED too if nobody waits for the answer any more."""
        terminal = questions.has_terminal()
        program = questions.askpass_program(os.environ, terminal=terminal)
        if program is None and not terminal:
            return Consent.NOBODY
        said = (
            _on_terminal(question, stop)
            if program is None
            else _by_askpass(program, question, stop)
        )
        if said is None:
            return Consent.NOBODY
        return Consent.GIVEN if said else Consent.DECLINED


def _on_terminal(question: str, stop: threading.Event) -> bool:
    """Ask on the terminal, and look now and then whether the answer is still waited for."""
    import select
    import termios

    terminal = os.open(questions.TERMINAL, os.O_RDWR | os.O_NOCTTY)
    try:
        termios.tcflush(terminal, termios.TCIFLUSH)  # what was typed before is not an answer
        asked = f"{escape(question.replace(chr(10), '; '))} [y/N]"
        text = f"{fitted(asked, columns(terminal) - 1)} "
        os.write(terminal, text.encode("utf-8", "backslashreplace"))
        while not select.select([terminal], [], [], POLL_S)[0]:
            if stop.is_set():
                os.write(terminal, b"\n")
                return False
        typed = os.read(terminal, LONGEST_ANSWER).decode("utf-8", "replace")
        return typed.strip().lower() in {"y", "yes"} and not stop.is_set()
    finally:
        os.close(terminal)


def _by_askpass(program: str, question: str, stop: threading.Event) -> bool | None:
    """Run SSH_ASKPASS for a yes or no, as ssh-agent does; None if it cannot be run."""
    try:
        process = subprocess.Popen(  # noqa: S603  the owner's own program
            [program, escape_lines(question)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={**os.environ, "SSH_ASKPASS_PROMPT": "confirm"},
        )
    except OSError:
        return None
    while True:
        try:
            said, _ = process.communicate(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            if stop.is_set():
                process.terminate()
            continue
        answer = said.decode("utf-8", "replace").strip().lower()
        return process.returncode == 0 and answer in YES and not stop.is_set()
