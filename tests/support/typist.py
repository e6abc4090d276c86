"""A person at a terminal who reads what a program asks and types the answer."""

from __future__ import annotations

import os
import pty
import select
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tests.support.children import popen

LIMIT_S = 60

Answer = str | bytes | Callable[[str], str]
"""What is typed, or how it follows from all that was shown."""


@dataclass(frozen=True)
class Seen:
    """How the program ended, and all that its terminal showed."""

    status: int
    text: str


def converse(
    command: Sequence[str],
    answers: Sequence[tuple[str, Answer]] = (),
    env: Mapping[str, str] | None = None,
) -> Seen:
    """Run a program on a terminal of its own.

    Args:
        command: the program and its words.
        answers: each is typed when its prompt shows; those whose prompt never comes are not.
        env: the whole environment; None for this one.
    """
    ours, theirs = pty.openpty()
    process = popen(
        ["setsid", "--ctty", "--wait", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        text = _read(ours, list(answers))
    finally:
        os.close(ours)  # hangs up: what still waits for an answer ends
    return Seen(process.wait(LIMIT_S), text)


def _read(terminal: int, left: list[tuple[str, Answer]]) -> str:
    seen, answered = b"", 0
    while select.select([terminal], [], [], LIMIT_S)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # EIO: the other side is closed
            break
        seen += piece
        while left and left[0][0].encode() in seen[answered:]:
            answered = len(seen)
            answer = left.pop(0)[1]
            typed = answer(seen.decode(errors="replace")) if callable(answer) else answer
            os.write(terminal, (typed.encode() if isinstance(typed, str) else typed) + b"\n")
    return seen.decode(errors="replace")
