"""Reading a line from a terminal that does not show it; whatever ends that, the echo comes back."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_ENDS: Final = (signal.SIGTSTP, signal.SIGQUIT)
"""Ctrl-Z and Ctrl-\\: they stop or end a process without running what it has to clean up."""


def read_line(terminal: int, limit: int) -> bytes | None:
    """The line that is typed, without its end; None if the terminal was closed (Ctrl-D).

    Args:
        terminal: a descriptor.
        limit: bytes that are read at most; one more than the longest answer tells that it is too
            long.
    """
    line = b""
    while len(line) < limit:
        piece = os.read(terminal, limit - len(line))
        line += piece
        if not piece:
            return line or None
        if line.endswith(b"\n"):
            break
    return line.rstrip(b"\r\n")


def read_hidden(terminal: int, limit: int, prompt: bytes) -> bytes | None:
    """Ask for a line that is not shown; None as in `read_line`.

    Args:
        terminal: a descriptor.
        limit: as in `read_line`.
        prompt: shown before, and once more after Ctrl-Z and fg.
    """
    with _without_echo(terminal, lambda: _write(terminal, prompt)):
        _write(terminal, prompt)
        try:
            return read_line(terminal, limit)
        finally:
            _write(terminal, b"\n")


def _write(terminal: int, data: bytes) -> None:
    while data:
        data = data[os.write(terminal, data) :]


@contextmanager
def _without_echo(terminal: int, again: Callable[[], None]) -> Iterator[None]:
    import termios

    before = termios.tcgetattr(terminal)
    silent = list(before)
    silent[3] &= ~termios.ECHO

    def pause(number: int, _frame: FrameType | None) -> None:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # SIGCONT brings us here
        signal.signal(number, pause)
        termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
        again()

    with _handling(pause):
        termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
        try:
            yield
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, before)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Only the main thread may handle signals; others ask without."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {number: signal.getsignal(number) for number in _ENDS}
    for number, was in kept.items():
        if was is signal.SIG_DFL:  # what the caller ignores stays ignored
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, was in kept.items():
            if was is signal.SIG_DFL:
                signal.signal(number, was)
