"""Asking the user to be the finger on a virtual token (`virtual.gestures.Gestures`)."""

from __future__ import annotations

import os

from fidokit.prompt import questions
from fidokit.prompt.text import escape

TOUCH = "{token} wants a touch [Enter = touch, r = refuse]: "
VERIFY = "{token} wants your fingerprint [Enter = match, m = mismatch]: "
REFUSALS = frozenset({"r", "refuse", "m", "mismatch", "n", "no"})
LONGEST_ANSWER = 1024


class TouchPrompt:
    """One question at a time; the answer is looked for without waiting longer than is asked."""

    def __init__(self) -> None:
        self._terminal = -1
        self._question = b""
        self._open = False

    def ask(self, token: str, *, verify: bool) -> None:
        """Show the question; what was typed before it is no answer.

        Raises:
            TouchRefused: there is no terminal.
        """
        import termios

        self.over()
        try:
            self._terminal = os.open(questions.TERMINAL, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            from fidokit.virtual.gestures import nobody

            raise nobody(token) from None
        termios.tcflush(self._terminal, termios.TCIFLUSH)
        text = (VERIFY if verify else TOUCH).format(token=escape(token))
        self._question = text.encode("utf-8", "backslashreplace")
        os.write(self._terminal, self._question)
        self._open = True

    def answer(self, seconds: float) -> bool | None:
        """Yes or no, once it is typed; None where nothing was within `seconds`."""
        import select

        if not select.select([self._terminal], [], [], seconds)[0]:
            return None
        typed = os.read(self._terminal, LONGEST_ANSWER)
        word = typed.decode("utf-8", "replace").strip().lower()
        if word and word not in REFUSALS:
            os.write(self._terminal, self._question)
            return None
        self._open = not typed
        return bool(typed) and not word  # an end of file is no touch

    def over(self) -> None:
        """Let go of the terminal."""
        if self._terminal >= 0:
            if self._open:
                os.write(self._terminal, b"\n")
            os.close(self._terminal)
            self._terminal = -1
