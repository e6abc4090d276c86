"""A run of pytest leaves nothing behind, however it ends: no process, so no mount, and no file.

At its start the run forks. The parent, whose number the caller knows, is the guardian: it passes
signals on, and is who inherits every process whose own parent ends (PR_SET_CHILD_SUBREAPER). When
the run has ended, by itself or by kill -9, the guardian ends what is left and removes the run's
folder. Mounts are made in namespaces of such processes, and go with them.

If the guardian itself is killed, the run hears of it (PR_SET_PDEATHSIG) and ends as by Ctrl-C, so
that fixtures tidy up. Only who kills both at once escapes; even then what `children.popen` started
goes.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.support.children import RUN, prctl, signal_at_parents_end

PATIENCE_S = 10.0
_SET_CHILD_SUBREAPER = 36
_PASSED_ON = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Fork; the child goes on as the run."""
    if RUN in os.environ or not sys.platform.startswith("linux") or config.option.collectonly:
        return
    folder = Path(tempfile.mkdtemp(prefix="fidokit-run-", dir="/tmp"))
    folder.chmod(0o711)  # some tests are about what other users see
    os.environ[RUN] = str(folder)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    said = os.dup(2)
    prctl(_SET_CHILD_SUBREAPER, 1)
    guardian = os.getpid()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON | {signal.SIGCHLD})
    child = os.fork()
    if child:
        _guard(child, folder, said)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(said)
    signal_at_parents_end(signal.SIGINT)
    if os.getppid() != guardian:
        raise KeyboardInterrupt
    config.add_cleanup(lambda: _tidy_up_alone(guardian, folder))


def _tidy_up_alone(guardian: int, folder: Path) -> None:
    """Do at the run's end what a guardian that was killed no longer does."""
    if os.getppid() != guardian:
        end_all_below(os.getpid())
        shutil.rmtree(folder, ignore_errors=True)


def _guard(child: int, folder: Path, said: int) -> None:
    """Be the guardian, and leave with the run's status."""
    status = _wait_for(child)
    left = end_all_below(os.getpid())
    shutil.rmtree(folder, ignore_errors=True)
    for line in left:
        os.write(said, f"left behind, and ended: {line}\n".encode())
    os._exit(status if status >= 0 else 128 - status)


def _wait_for(child: int) -> int:
    """Its exit status, with signals passed on; others that end meanwhile are forgotten."""
    while True:
        got = signal.sigwaitinfo(_PASSED_ON | {signal.SIGCHLD})
        by_terminal = got.si_signo == signal.SIGINT and got.si_code > 0  # the run got it, too
        if got.si_signo in _PASSED_ON and not by_terminal:
            _send(child, got.si_signo)
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == child:
                return os.waitstatus_to_exitcode(ended[1])


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def end_all_below(top: int) -> list[str]:
    """End every process that `top` started, and those that these started; says which lived."""
    seen: dict[int, str] = {}
    deadline = time.monotonic() + PATIENCE_S
    while (below := list(descendants(top))) and time.monotonic() < deadline:
        for pid, command in below:
            if command:
                seen.setdefault(pid, f"{pid} {command}")
            _send(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)
    return list(seen.values())


def descendants(top: int) -> Iterator[tuple[int, str]]:
    """Number and command line of every process below `top`; no command line where it has ended."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    below = {top}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    for pid in below - {top}:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            yield pid, b" ".join(words).decode(errors="replace").strip()
