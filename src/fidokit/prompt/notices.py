"""Telling a user what must be seen now: on the terminal, wherever standard error goes."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from fidokit.prompt import questions
from fidokit.prompt.text import columns, escape, escape_lines, fitted, note, wrapped

TOUCH_S: Final = 30
"""Seconds that tokens wait for a touch, as CTAP 2.1 section 6 has it; some give up sooner."""

_STDERR: Final = 2


@contextmanager
def terminal() -> Iterator[int | None]:
    """A descriptor of the user's terminal to write to; None if there is none."""
    if sys.stderr.isatty():
        with suppress(OSError, ValueError):
            sys.stderr.flush()
        yield _STDERR
        return
    try:
        opened = os.open(questions.TERMINAL, os.O_WRONLY | os.O_NOCTTY)
    except OSError:
        yield None
        return
    try:
        yield opened
    finally:
        os.close(opened)


def tell(text: str) -> bool:
    """Say something to the user on the terminal, else on standard error.

    Args:
        text: lines; what they hold is made harmless.

    Returns whether there is a terminal.
    """
    with terminal() as there:
        if there is None or there == _STDERR:
            note(text)
            return there is not None
        _write(there, f"{fitted(escape_lines(text), columns(there))}\n")
        return True


class LastingNotice:
    """Something that lasts: one line that tells the seconds, and goes when it is over.

    Where that line would not fit, or where the terminal can do no more than lines, the text is
    said once, and stays.

    Args:
        text: what lasts; made harmless.
        seconds: what to say of the seconds that have passed.
        live: whether a line may change; else the text is said once.
        short: the same in fewer words, for where the text is too long for a line.
        head: what the line says where either stands above it.
        after: seconds before anything is shown: what is over sooner needs no notice.
    """

    def __init__(
        self,
        text: str,
        seconds: Callable[[int], str],
        *,
        live: bool = True,
        short: str = "",
        head: str = "",
        after: float = 0.0,
    ) -> None:
        self._text = escape(text)
        self._seconds = seconds
        self._live = live
        self._short = escape(short)
        self._head = head
        self._after = after
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.seen = False

    def show(self) -> bool:
        """Show it, from now on; returns whether there is a terminal."""
        with terminal() as there:
            self.seen = there is not None
            fancy = os.environ.get("TERM", "dumb") != "dumb"
            if there is None or not (self._live and fancy):
                tell(self._text)
                return self.seen
        started = threading.Event()
        self._thread = threading.Thread(target=self._draw, args=(started,), daemon=True)
        try:
            self._thread.start()
            if not self._after:
                started.wait(1.0)  # what is written next comes after it
        except KeyboardInterrupt:
            self.over()
            raise
        return True

    def over(self) -> None:
        """Take it away; a second call does nothing."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(1.0)
            self._thread = None

    def _draw(self, started: threading.Event) -> None:
        began = time.monotonic()
        if self._after and self._ended.wait(self._after):
            return
        with suppress(OSError), terminal() as there:
            if there is not None:
                self._keep_drawing(there, began, started)

    def _keep_drawing(self, there: int, began: float, started: threading.Event) -> None:
        room = columns(there) - len(self._seconds(0))
        text = self._text if len(self._text) < room else self._short or self._text
        if len(text) >= room:
            _write(there, "".join(f"{line}\n" for line in wrapped(text, columns(there) - 1)))
            text = self._head
        bold, plain = ("", "") if os.environ.get("NO_COLOR") else ("\x1b[1m", "\x1b[0m")
        while True:
            line = (text + self._seconds(int(time.monotonic() - began)))[: columns(there) - 1]
            _write(there, f"\r{bold}{line}{plain}\x1b[K")
            started.set()
            # a whole second, so that the numbers do not jump
            if self._ended.wait(1.0 - (time.monotonic() - began) % 1.0):
                break
        _write(there, "\r\x1b[K")


def _write(descriptor: int, text: str) -> None:
    data = text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(descriptor, data) :]


def touch_notice(token: str, why: str, *, live: bool) -> LastingNotice:
    """Say that a token waits for a touch, and for how long: on the terminal, else the desktop.

    Args:
        token: its name.
        why: what the touch is for.
        live: as of `LastingNotice`.
    """
    text = f"Touch your security key ({token}): {why}"
    shown = LastingNotice(
        text, _left, live=live, short=f"Touch {token}: {why}", head="Touch it now"
    )
    if not shown.show():
        from fidokit.prompt import desktop

        if desktop.has_session(os.environ):
            desktop.notify("Touch your security key", f"{token}\n{why}")
    return shown


def _left(passed: int) -> str:
    left = TOUCH_S - passed
    return f" ({left} s left)" if left > 0 else ""


def waiting_notice(text: str, *, live: bool) -> LastingNotice:
    """Say what is waited for, with the seconds that have passed.

    Args:
        text: a sentence without its full stop.
        live: as of `LastingNotice`.
    """
    shown = LastingNotice(text, passed_seconds, live=live, head="Waiting")
    shown.show()
    return shown


def passed_seconds(passed: int) -> str:
    """How long something has lasted, behind what it is."""
    return f" ({passed} s)" if passed else ""
