"""`fidokit virtual` as processes: served to others, and pulled out on request."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from tests.cli.conftest import Sandbox


@contextmanager
def served(sandbox: Sandbox, *args: str) -> Iterator[subprocess.Popen[str]]:
    """`virtual serve` in a process of its own, from its first line on."""
    with subprocess.Popen(
        [sys.executable, "-m", "fidokit", "virtual", "serve", *args],
        env=sandbox.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        assert child.stdout is not None
        assert "is plugged in; Ctrl-C pulls it out." in child.stdout.readline()
        try:
            yield child
        finally:
            child.terminate()


@pytest.fixture(autouse=True)
def token(sandbox: Sandbox) -> None:
    assert sandbox.run("virtual", "create", "t", "--presence", "deny").code == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_served_until_told_to_stop(sandbox: Sandbox, end: signal.Signals) -> None:
    folder = sandbox.home / "state" / "fidokit" / "virtual"
    with served(sandbox, "t") as child:
        assert (folder / "t.sqlite.sock").is_socket()
        child.send_signal(end)
        assert child.wait(20) == 0
        assert child.stderr is not None
        assert child.stderr.read() == ""
    assert {p.name for p in folder.iterdir()} == {"t.sqlite", "t.sqlite.lock"}


def test_other_commands_reach_it_and_wrong_pins_add_up(sandbox: Sandbox) -> None:
    (sandbox.home / "pin").write_text("2580\n")
    (sandbox.home / "wrong").write_text("wrong\n")
    verify = ("--token", "virtual:t", "pin", "verify", "--pin-file")
    with served(sandbox, "t", "--presence", "auto"):
        assert sandbox.run("--token", "virtual:t", "pin", "set", "--new-pin-file", "pin").code == 0
        assert [sandbox.run(*verify, "wrong").code for _ in range(3)] == [5, 5, 6]
        assert sandbox.run(*verify, "pin").code == 6
        refused = sandbox.run("virtual", "delete", "t", "--yes")
        assert refused.code == 3
        assert "plugged in already" in refused.err
        again = sandbox.run("virtual", "serve", "t")
        assert again.code == 3
    assert sandbox.run(*verify, "pin").code == 0


def test_json_says_what_is_served(sandbox: Sandbox) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "fidokit", "virtual", "serve", "t", "--json"],
        env=sandbox.env,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        lines = []
        while not lines or lines[-1] != "}\n":
            lines.append(child.stdout.readline())
        child.terminate()
    assert json.loads("".join(lines)) == {"schema": 1, "serving": "virtual:t"}


def test_what_is_not_there_is_not_served(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "serve", "none")
    assert done.code == 3
    assert "there is no virtual token named 'none'" in done.err
