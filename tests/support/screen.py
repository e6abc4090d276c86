"""What a terminal shows: a program runs on one, and its screen is read as a person sees it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyte
from tests.support.children import popen
from tests.support.warm import Warm

KEYBOARD = re.compile(rb"\x1b\[[<=>?][\d;]*u")
"""How keys are to be reported, as fish 4 asks a terminal; pyte would show a part of it."""
LIMIT_S = 60
"""Seconds after which what does not show fails its test."""


@dataclass
class Window:
    """A terminal with a program on it.

    Args:
        terminal: our end.
        screen: what is shown.
        left: waits so many seconds for the program's end, and gives its exit status.
    """

    terminal: int
    screen: pyte.HistoryScreen
    left: Callable[[float], int]
    raw: bytes = b""
    ended: bool = False
    stream: pyte.ByteStream = field(init=False)

    def __post_init__(self) -> None:
        self.stream = pyte.ByteStream(self.screen)

    def text(self) -> str:
        """All lines, those that scrolled away too, without blanks at their ends."""
        gone = ["".join(row[n].data for n in range(self.screen.columns)) for row in self._gone()]
        return "\n".join(line.rstrip() for line in [*gone, *self.screen.display]).rstrip()

    def _gone(self) -> Iterator[Mapping[int, pyte.screens.Char]]:
        return iter(self.screen.history.top)

    def wait(self, seen: str | Callable[[str], bool]) -> str:
        """Read on until the screen shows this; returns the screen."""
        shown = seen if callable(seen) else lambda text: bool(re.search(seen, text))
        until = time.monotonic() + LIMIT_S
        while not shown(self.text()):
            assert not self.ended, f"ended without {seen!r}:\n{self.text()}"
            assert time.monotonic() < until, f"never showed {seen!r}:\n{self.text()}"
            self._read(until)
        return self.text()

    def _read(self, until: float) -> None:
        if not select.select([self.terminal], [], [], max(until - time.monotonic(), 0))[0]:
            return
        try:
            data = os.read(self.terminal, 65536)
        except OSError:  # EIO: the other side is closed
            data = b""
        self.ended = not data
        self.raw += data
        self.stream.feed(KEYBOARD.sub(b"", data))

    def type(self, text: str) -> None:
        """Type this."""
        os.write(self.terminal, text.encode())

    def end(self) -> str:
        """Read until the program has ended; returns the screen."""
        until = time.monotonic() + LIMIT_S
        while not self.ended:
            assert time.monotonic() < until, f"does not end:\n{self.text()}"
            self._read(until)
        return self.text()

    @cached_property
    def status(self) -> int:
        """The program's exit status, once it has ended."""
        self.end()
        return self.left(LIMIT_S)

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed."""
        return bool(termios.tcgetattr(self.terminal)[3] & termios.ECHO)


@contextmanager
def window(
    command: Sequence[str], env: Mapping[str, str], *, columns: int = 80, rows: int = 40
) -> Iterator[Window]:
    """Run a program on a terminal of its own; it is ended with the block."""
    with terminal(columns, rows) as (ours, theirs):
        process = popen(
            ["setsid", "--ctty", "--wait", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=dict(env),
            start_new_session=True,
        )
        os.close(theirs)
        try:
            yield Window(ours, pyte.HistoryScreen(columns, rows, history=500), process.wait)
        finally:
            if process.poll() is None:
                _end(process.pid)
                process.wait(LIMIT_S)


@contextmanager
def warm_window(
    warm: Warm,
    args: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    *,
    columns: int = 80,
    rows: int = 40,
) -> Iterator[Window]:
    """Run fidokit on a terminal of its own, as a fork; it is ended with the block."""
    with terminal(columns, rows) as (ours, theirs):
        child = warm.start(args, env, cwd, [theirs] * 3, terminal=True)
        os.close(theirs)
        shown = Window(ours, pyte.HistoryScreen(columns, rows, history=500), child.wait)
        try:
            yield shown
        finally:
            if "status" not in vars(shown):
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait(LIMIT_S)


@contextmanager
def terminal(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    """Both ends of one; the first is closed with the block."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (rows, columns))
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def _end(pid: int) -> None:
    """End setsid and the session that it made."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for group in (*map(int, children), pid):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
