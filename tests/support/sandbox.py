"""Running the command as a user does: a process of its own, with or without a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.json_members import held_to_the_page, require_documented
from tests.support.screen import Window, warm_window, window
from tests.support.warm import Warm

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
    """A home folder of its own, and the environment that points there.

    Args:
        warm: whose forks its processes are; each has its interpreter start anew without.
    """

    home: Path
    env: dict[str, str]
    warm: Warm | None = None

    def run(self, *args: str, stdin: bytes = b"", **env: str) -> Done:
        """Run fidokit without a controlling terminal."""
        full = self.env | env
        if self.warm and self.warm.suits(full):
            code, out, err = _run_warm(self.warm, args, stdin, full, self.home)
            require_documented(args, out)
            return Done(code, out, err)
        done = subprocess.run(
            [sys.executable, "-m", "fidokit", *args],
            input=stdin,
            capture_output=True,
            env=full,
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
        full = self.env | {"TERM": "xterm-256color"} | env
        if self.warm and self.warm.suits(full):
            return _talk_warm(self.warm, args, list(answers), full, self.home)
        child, terminal = pty.fork()
        if child == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may ignore it
            os.chdir(self.home)
            os.execve(sys.executable, [sys.executable, "-m", "fidokit", *args], full)
        termios.tcsetwinsize(terminal, (40, 100))
        seen = _converse(terminal, list(answers), child)
        echoes = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
        _, status = os.waitpid(child, 0)
        os.close(terminal)
        return Done(os.waitstatus_to_exitcode(status), seen.decode(errors="replace"), "", echoes)

    @contextmanager
    def window(self, *args: str, columns: int = 80, rows: int = 40, **env: str) -> Iterator[Window]:
        """Run fidokit on a terminal whose screen is read."""
        full = self.env | {"TERM": "xterm-256color"} | env
        if self.warm and self.warm.suits(full):
            size = {"columns": columns, "rows": rows}
            with warm_window(self.warm, args, full, self.home, **size) as shown:
                yield shown
            return
        script = f'cd "$HOME" && exec {sys.executable} -m fidokit "$@"'
        command = ["bash", "-c", script, "bash", *args]
        with window(command, full, columns=columns, rows=rows) as shown:
            yield shown


def _run_warm(
    warm: Warm, args: Sequence[str], stdin: bytes, env: dict[str, str], home: Path
) -> tuple[int, str, str]:
    pipes = [os.pipe() for _ in range(3)]
    (theirs, to_write), *read = pipes
    try:
        child = warm.start(args, env, home, [theirs, *(end for _, end in read)])
    finally:
        for number in (theirs, *(end for _, end in read)):
            os.close(number)
    with ThreadPoolExecutor(3) as pool:
        written = pool.submit(_write, to_write, stdin)
        out, err = [pool.submit(_read, end) for end, _ in read]
        code = child.wait(LIMIT)
        written.result()
        return code, out.result().decode(), err.result().decode()


def _write(number: int, data: bytes) -> None:
    with suppress(BrokenPipeError), open(number, "wb") as pipe:
        pipe.write(data)


def _read(number: int) -> bytes:
    with open(number, "rb") as pipe:
        return pipe.read()


def _talk_warm(
    warm: Warm, args: Sequence[str], answers: list[Answer], env: dict[str, str], home: Path
) -> Done:
    terminal, theirs = pty.openpty()
    try:
        termios.tcsetwinsize(terminal, (40, 100))
        child = warm.start(args, env, home, [theirs] * 3, terminal=True)
    finally:
        os.close(theirs)
    seen = _converse(terminal, answers, child.pid)
    echoes = bool(termios.tcgetattr(terminal)[3] & termios.ECHO)
    code = child.wait(LIMIT)
    os.close(terminal)
    return Done(code, seen.decode(errors="replace"), "", echoes)


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


def environment(home: Path) -> dict[str, str]:
    """Variables that make this folder a person's home, and this tree the command."""
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SRC),
        "LC_ALL": "C.UTF-8",
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "PYTHONWARNINGS": "error",
    }


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm | None]:
    if not hasattr(os, "pidfd_open"):  # Linux has it
        yield None
        return
    started = Warm(environment(tmp_path_factory.mktemp("warm")))
    yield started
    started.close()


@pytest.fixture
def sandbox(tmp_path: Path, warm: Warm | None) -> Sandbox:
    home = tmp_path / "home"
    home.mkdir()
    return Sandbox(home, environment(home), warm)


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
