"""Running the command as a user does: a process of its own, with or without a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.json_members import held_to_the_page, require_documented

Answer = tuple[str, str | signal.Signals]
SRC = Path(__file__).parents[2] / "src"
LIMIT = 60
"""Seconds after which a hanging command fails its test; none should come near."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str
    echoes: bool = True
    """Whether the terminal shows what is typed, afterwards."""


@dataclass(frozen=True)
class Sandbox:
    """A home folder of its own, and the environment that points there."""

    home: Path
    env: dict[str, str]

    def run(self, *args: str, stdin: bytes = b"", **env: str) -> Done:
        """Run fidokit without a controlling terminal."""
        done = subprocess.run(
            [sys.executable, "-m", "fidokit", *args],
            input=stdin,
            capture_output=True,
            env=self.env | env,
            cwd=self.home,
            timeout=LIMIT,
            start_new_session=True,
            check=False,
        )
        require_documented(args, done.stdout.decode())
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def talk(self, *args: str, answers: Sequence[Answer] = (), **env: str) -> Done:
        """Run fidokit on a terminal; each (prompt, answer) is typed when the prompt shows.

        An answer that is a signal is sent to it.

        The terminal carries both streams: all of it is in `out`.
        """
        child, terminal = pty.fork()
        if child == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
            os.chdir(self.home)
            full = self.env | {"TERM": "xterm-256color"} | env
            os.execve(sys.executable, [sys.executable, "-m", "fidokit", *args], full)
        termios.tcsetwinsize(terminal, (40, 100))
        seen = _converse(terminal, list(answers), child)
        echoes = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        return Done(os.waitstatus_to_exitcode(status), seen.decode(errors="replace"), "", echoes)


def _converse(terminal: int, answers: list[Answer], child: int) -> bytes:
    seen, since = b"", 0
    while select.select([terminal], [], [], LIMIT)[0]:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # EIO is how Linux says that the other side closed
            break
        if not data:
            break
        seen += data
        while answers and answers[0][0].encode() in seen[since:]:
            prompt, answer = answers.pop(0)
            since = seen.index(prompt.encode(), since) + len(prompt)
            if isinstance(answer, str):
                os.write(terminal, answer.encode())
            else:
                os.kill(child, answer)
    assert not answers, f"never asked: {answers[0][0]!r}; the terminal showed {seen.decode()!r}"
    return seen


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    home = tmp_path / "home"
    home.mkdir()
    env = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SRC),
        "LC_ALL": "C.UTF-8",
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PYTHONWARNINGS": "error",
    }
    return Sandbox(home, env)


@pytest.fixture
def in_process(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run fidokit in this process, in the sandbox, with nobody to ask."""
    from fidokit.cli import main
    from fidokit.prompt import questions

    for name in ("FIDOKIT_TOKEN", "SSH_ASKPASS", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, sandbox.env[name])
    monkeypatch.chdir(sandbox.home)
    monkeypatch.setattr(questions, "TERMINAL", str(sandbox.home / "no-terminal"))
    return lambda *args: held_to_the_page(main.run, args)
