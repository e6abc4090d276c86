"""However a run of pytest ends, none of its processes and none of its files outlive it."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.children import RUN

pytestmark = pytest.mark.long  # each is a run of its own

TOP = Path(__file__).parents[2]
WAIT_S = 60

MODULE = """
import os, subprocess, sys, tempfile
from pathlib import Path
from tests.support.children import place, popen

HERE = Path(__file__).parent
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]

def test_that_starts_processes():
    plain = subprocess.Popen(SLEEP)
    session = subprocess.Popen(SLEEP, start_new_session=True)
    ours = popen(SLEEP)
    # an orphan, as every daemon is
    orphan = subprocess.run(
        [sys.executable, "-c", f"import subprocess; print(subprocess.Popen({SLEEP!r},"
         " stdout=-3, stderr=-3, start_new_session=True).pid)"],
        capture_output=True, check=True,
    ).stdout.decode().strip()
    (place() / "a file").touch()
    facts = [place(), os.getpid(), plain.pid, session.pid, ours.pid, orphan]
    (HERE / "new").write_text("\\n".join(map(str, facts)))
    (HERE / "new").rename(HERE / "facts")
    END
"""
HANGS = "plain.wait()"


class Run:
    """A run of its own, and what its test started."""

    def __init__(self, folder: Path, end: str, terminal: int | None = None) -> None:
        self.folder = folder
        (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
        (folder / "test_it.py").write_text(MODULE.replace("END", end))
        env = {name: value for name, value in os.environ.items() if name != RUN}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.support.guardian"]
        if terminal:
            command = ["setsid", "--ctty", "--wait", *command]
        self.process = subprocess.Popen(
            [*command, f"--basetemp={folder}/base", "test_it.py"],
            cwd=folder,
            env=env | {"PYTHONPATH": f"{TOP}:{TOP / 'src'}"},
            stdin=terminal or subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        wait_until((folder / "facts").exists)
        place, run, *children = (folder / "facts").read_text().splitlines()
        self.place = Path(place)
        self.pid = int(run)
        self.children = [int(pid) for pid in children]

    def said(self) -> str:
        out, _ = self.process.communicate(timeout=WAIT_S)
        return out.decode()

    def nothing_is_left(self) -> None:
        wait_until(lambda: not any(map(alive, [self.pid, *self.children])))
        wait_until(lambda: not self.place.exists())


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def begin(end: str, *terminal: int) -> Run:
        runs.append(Run(tmp_path, end, *terminal))
        return runs[0]

    yield begin
    for run in runs:
        run.process.kill()
        run.process.communicate()
        for pid in (run.pid, *run.children):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("end", "status"), [("assert False", 1), ("pass", 0), ("os._exit(7)", 7)])
def test_a_run_that_ends(start: Callable[..., Run], end: str, status: int) -> None:
    run = start(end)
    said = run.said()
    assert run.process.returncode == status, said
    assert said.count("left behind, and ended: ") == 3, "`ours` ended by itself"
    run.nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_who_was_started_ends_all(
    start: Callable[..., Run], number: signal.Signals
) -> None:
    run = start(HANGS)
    run.process.send_signal(number)
    assert run.process.wait(WAIT_S) == 128 + number
    run.nothing_is_left()


def is_interrupted(run: Run) -> None:
    said = run.said()
    assert run.process.returncode == pytest.ExitCode.INTERRUPTED, said
    assert said.count("! KeyboardInterrupt !") == 1, "the report is pytest's own"
    assert "Traceback" not in said
    run.nothing_is_left()


def test_ctrl_c(start: Callable[..., Run]) -> None:
    """The terminal tells the guardian and the run; it ends as by one interrupt."""
    keyboard, terminal = pty.openpty()
    try:
        run = start(HANGS, terminal)
        os.write(keyboard, b"\x03")
        is_interrupted(run)
    finally:
        os.close(keyboard)
        os.close(terminal)


def test_an_interrupt_to_who_was_started(start: Callable[..., Run]) -> None:
    run = start(HANGS)
    run.process.send_signal(signal.SIGINT)
    is_interrupted(run)


def test_kill_9_of_the_run(start: Callable[..., Run]) -> None:
    run = start(HANGS)
    os.kill(run.pid, signal.SIGKILL)
    assert run.process.wait(WAIT_S) == 128 + signal.SIGKILL
    run.nothing_is_left()


def test_kill_9_of_the_guardian_interrupts_the_run(start: Callable[..., Run]) -> None:
    """Its fixtures tidy up, and it ends its own children; an orphan has nobody left."""
    run = start(HANGS)
    orphan = run.children.pop()
    run.process.kill()
    run.nothing_is_left()
    os.kill(orphan, signal.SIGKILL)
