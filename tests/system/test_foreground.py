"""A command in the foreground: its exit status, its signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.support.children import popen

from fidokit.system.foreground import run_command

HERE = dict(os.environ)


def run(script: str, on_child: Callable[[], None] = lambda: None) -> int:
    return run_command(["sh", "-c", script], HERE, on_child)


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -9 $$", 137)]
)
def test_its_status_is_passed_on(script: str, status: int) -> None:
    assert run(script) == status


def test_what_cannot_be_started() -> None:
    with pytest.raises(FileNotFoundError):
        run_command(["/nowhere/at-all"], HERE, lambda: None)


@pytest.mark.parametrize("name", ["HUP", "INT", "QUIT", "TERM", "USR1", "USR2"])
def test_signals_of_other_processes_are_passed_on(name: str) -> None:
    """The command sends it to us, and gets it back."""
    script = f"trap 'kill $!; exit 42' {name}; sleep 60 & kill -{name} $PPID; wait"
    assert run(script) == 42


def test_signals_work_as_before_in_the_command_and_afterwards() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    blocked = "grep SigBlk: /proc/self/status | grep -q '0\\{16\\}'"
    ignores_no_pipe = "grep SigIgn: /proc/self/status | grep -q '0$'"  # bit 13 is another digit
    assert run(f"{blocked}; {ignores_no_pipe}") == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_what_was_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run("kill -HUP $$; kill -HUP $PPID; exit 3") == 3
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_child_is_noticed() -> None:
    seen = []
    other = popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert other.stdin
    feed = other.stdin

    def on_child() -> None:
        seen.append(other.poll())
        if not feed.closed:
            feed.close()  # it ends, and that wakes us
        elif other.poll() is not None:
            os.kill(os.getpid(), signal.SIGTERM)

    assert run("trap 'exit 5' TERM; while :; do sleep 0.05; done", on_child) == 5
    assert seen[-1] is not None
