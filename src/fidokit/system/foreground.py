"""Running a command in the foreground: its signals reach it, and its exit status is ours."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

FORWARDED: Final = frozenset(
    {
        signal.SIGHUP,
        signal.SIGINT,
        signal.SIGQUIT,
        signal.SIGTERM,
        signal.SIGUSR1,
        signal.SIGUSR2,
    }
)
_BY_A_PROCESS: Final = 0
"""The largest si_code of a signal that a process sent (sigaction(2)). The terminal's have a larger
one, and the terminal sends them to the command as well."""
_OURS_TO_UNDO: Final = (signal.SIGPIPE, signal.SIGXFSZ)
"""What Python ignores, and a program expects not to be ignored."""
_PAUSE_S: Final = 1.0
_KILLED: Final = 128
"""A shell adds the signal's number."""


def run_command(
    command: Sequence[str],
    environ: Mapping[str, str],
    on_child: Callable[[], None] = lambda: None,
) -> int:
    """Run a command to its end, without a shell, in this terminal.

    Args:
        command: program and arguments.
        environ: its environment.
        on_child: called whenever a child of this process has ended or stopped.

    Returns:
        Its exit status; 128 and the number of the signal that ended it.

    Raises:
        OSError: it cannot be started.
    """
    wanted = {n for n in FORWARDED if signal.getsignal(n) is not signal.SIG_IGN}  # as nohup has it
    with _taken(wanted) as (mask, sent):
        child = os.posix_spawnp(
            command[0], list(command), dict(environ), setsigmask=mask, setsigdef=_OURS_TO_UNDO
        )
        while True:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else _KILLED - code
            on_child()
            sent.extend(_next_signal(wanted))
            while sent:
                os.kill(child, sent.pop(0))


@contextmanager
def _taken(wanted: set[signal.Signals]) -> Iterator[tuple[set[signal.Signals | int], list[int]]]:
    """Signals wait to be taken one by one; yields the mask of before, and those that came to
    another thread than this one, where they cannot wait."""
    sent: list[int] = []
    handlers = {n: signal.signal(n, lambda number, _frame: sent.append(number)) for n in wanted}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*wanted, signal.SIGCHLD})
    try:
        yield before, sent
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _next_signal(wanted: set[signal.Signals]) -> list[int]:
    """Wait for a signal, a second at most; its number where the command has to be sent it."""
    if not hasattr(signal, "sigtimedwait"):  # macOS: nor is it known who sent it
        number = signal.sigwait({*wanted, signal.SIGCHLD})
        by_terminal = number in {signal.SIGINT, signal.SIGQUIT, signal.SIGHUP}
    else:
        info = signal.sigtimedwait({*wanted, signal.SIGCHLD}, _PAUSE_S)
        if info is None:
            return []
        number = info.si_signo
        by_terminal = info.si_code > _BY_A_PROCESS
    return [] if by_terminal or number == signal.SIGCHLD else [number]
