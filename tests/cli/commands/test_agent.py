"""`fidokit agent`: what it prints, what it refuses, keys into a running agent."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands.conftest import Bench
from tests.support.children import popen
from tests.support.sandbox import Sandbox

from fidokit.cli.commands.agent import seconds_of
from fidokit.cli.settings import this_program
from fidokit.errors import ExitCode, UsageError


@contextmanager
def serving(bench: Bench, *options: str) -> Iterator[tuple[str, str]]:
    """An agent in the foreground; what it printed at first, and its socket."""
    command = [sys.executable, "-m", "fidokit", "agent", "serve", "--no-notify", *options]
    with popen(
        command,
        env=bench.sandbox.env | {"TMPDIR": str(bench.home)},
        cwd=bench.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout
        said = process.stdout.readline().decode()
        try:
            yield said, said.partition("=")[2].partition(";")[0]
        finally:
            process.terminate()


def test_it_says_what_a_shell_has_to_know(bench: Bench) -> None:
    with serving(bench) as (said, path):
        assert said == f"SSH_AUTH_SOCK={path}; export SSH_AUTH_SOCK;\n"
        assert Path(path).is_socket()
    assert not Path(path).exists()


def test_a_socket_at_a_path_with_spaces_is_quoted(bench: Bench) -> None:
    where = bench.home / "a folder" / "s"
    with serving(bench, "-a", str(where)) as (said, _):
        assert said == f"SSH_AUTH_SOCK='{where}'; export SSH_AUTH_SOCK;\n"


def test_keys_go_into_a_running_agent(bench: Bench) -> None:
    bench.generate("one", "-O", "resident", "-O", "application=ssh:one", "-C", "first")
    bench.generate("two", "-O", "resident", "-O", "application=ssh:two", "-C", "second")
    with serving(bench) as (_, path):
        for chosen in ([], ["ssh:two"]):
            done = bench.run(*bench.with_pin("agent", "add", *chosen), SSH_AUTH_SOCK=path)
            assert done.code == 0, done.err
        assert done.out.startswith("added  second (SHA256:")
        done = bench.run(*bench.with_pin("agent", "add", "--json"), SSH_AUTH_SOCK=path)
        document = json.loads(done.out)
    assert [key["comment"] for key in document["keys"]] == ["first", "second"]
    assert [key["error"] for key in document["keys"]] == [None, None]


def test_what_the_agent_refuses_is_said_with_the_reason(bench: Bench) -> None:
    bench.generate("one", "-O", "resident", "-C", "first")
    with serving(bench) as (_, path):
        arguments = bench.with_pin("agent", "add", "-S", "/lib/other.so")
        done = bench.run(*arguments, SSH_AUTH_SOCK=path)
        assert done.code == ExitCode.OTHER
        assert "'/lib/other.so' on its allow list" in done.out
        done = bench.run(*arguments, "--json", SSH_AUTH_SOCK=path)
    assert json.loads(done.out)["keys"][0]["error"]["kind"] == "FidokitError"


def test_what_an_agent_holds_is_listed(bench: Bench) -> None:
    bench.generate("one", "-O", "resident", "-O", "application=ssh:one", "-C", "first \x1b[2J key")
    with serving(bench) as (_, path):
        there: dict[str, Any] = {"SSH_AUTH_SOCK": path}
        empty = bench.run("agent", "list", **there)
        assert (empty.code, empty.out) == (0, "")
        assert "The agent shows no keys: it has none, or is locked.\n" in empty.err
        (command,) = re.findall(r": (fidokit agent .*)$", empty.err, re.MULTILINE)
        done = bench.run(*bench.with_pin(*command.split()[1:]), **there)
        assert done.code == 0, done.err
        plain = bench.run("agent", "list", **there)
        document = json.loads(bench.run("agent", "list", "--json", **there).out)
        for more, columns in ((), 80), (("--long",), 80), ((), 40):
            with bench.sandbox.window(
                "agent", "list", *more, columns=columns, SSH_AUTH_SOCK=path
            ) as shown:
                lines = shown.end().splitlines()
            assert "\x1b" not in "".join(lines)
            long = [line for line in lines if path not in line and "SHA256:" not in line]
            assert max(map(len, long)) <= columns
            if columns == 80 and not more:
                assert lines[0].split() == ["Key", "Type", "On", "token"]
                assert lines[2] == "1 key; --long shows details.", "one line for the key"
                assert lines[3].startswith("Agent:")
    assert plain.out.splitlines()[1].split("\t")[1:3] == ["ED25519-SK", "yes"]
    (key,) = document["keys"]
    assert (key["application"], key["on_token"], key["certificate"]) == ("ssh:one", True, False)
    assert document["agent"]["socket"] == path
    assert document["agent"]["program"]


def test_a_token_without_resident_keys(bench: Bench) -> None:
    with serving(bench) as (_, path):
        done = bench.run(*bench.with_pin("agent", "add"), SSH_AUTH_SOCK=path)
    assert done.code == 0
    assert "no resident SSH keys" in done.err


def test_without_an_agent(bench: Bench) -> None:
    done = bench.run("agent", "add", SSH_AUTH_SOCK="")
    assert done.code == ExitCode.OTHER
    assert "SSH_AUTH_SOCK is not set" in done.err


def test_an_agent_that_can_ask_nobody_says_so_at_its_start(bench: Bench) -> None:
    """And not when the first login fails."""
    nobody: dict[str, Any] = {
        "SSH_ASKPASS": "",
        "DISPLAY": "",
        "WAYLAND_DISPLAY": "",
        "PATH": "/nonexistent",
    }
    done = bench.run("agent", "serve", "--background", "-a", str(bench.home / "s"), **nobody)
    assert done.code == 0, done.err
    os.kill(int(done.out.partition("SSH_AGENT_PID=")[2].partition(";")[0]), signal.SIGTERM)
    assert "nobody can be asked for a PIN: keys that need one will not sign\n" in done.err
    assert "hint: run it in a terminal without --background, or set SSH_ASKPASS" in done.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("-t", "soon"), ExitCode.USAGE),
        (("--pin-cache", "1y"), ExitCode.USAGE),
        (("--pin-prompt", "letter"), ExitCode.USAGE),
        (("--touch-command", "say 'touch"), ExitCode.USAGE),
        (("--policy", "/none"), ExitCode.OTHER),
        (("/none",), ExitCode.OTHER),
        (("-a", "/dev/null/s"), ExitCode.OTHER),
    ],
)
def test_what_starts_no_agent(bench: Bench, options: tuple[str, ...], code: int) -> None:
    done = bench.sandbox.run("agent", "serve", *options)
    assert done.code == code, done.err
    assert done.err.startswith("fidokit: ")
    assert done.out == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("600", 600),
        ("10m", 600),
        ("1h30m", 5400),
        ("1W", 604_800),
        ("999999999w", 2**31 - 1),
        ("9" * 5000, 2**31 - 1),
        ("0" * 5000 + "7m", 420),
    ],
)
def test_times(text: str, seconds: int) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "1x", "-1", "1.5h", "1 h", "\u0661"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        seconds_of(text)


# --- units -------------------------------------------------------------------------------


def test_shown(sandbox: Sandbox) -> None:
    done = sandbox.run("agent", "units")
    assert done.code == 0
    assert "ListenStream=%t/fidokit/agent.sock" in done.out
    assert "ExecStart=fidokit agent serve" in done.out
    document = json.loads(sandbox.run("agent", "units", "--json").out)
    assert sorted(document["units"]) == ["fidokit-agent.service", "fidokit-agent.socket"]


def test_installed(sandbox: Sandbox) -> None:
    done = sandbox.run("agent", "units", "--install")
    assert done.code == 0, done.err
    assert "systemd did not start the agent: " in done.err
    assert "Now: systemctl --user daemon-reload && " in done.err
    assert sorted(path.name for path in (sandbox.home / "config/systemd/user").iterdir()) == [
        "fidokit-agent.service",
        "fidokit-agent.socket",
    ]


def test_removed(sandbox: Sandbox) -> None:
    sandbox.run("agent", "units", "--install")
    done = sandbox.run("agent", "units", "--remove")
    assert done.code == 0, done.err
    assert done.out.count("Removed ") == 2
    assert list((sandbox.home / "config/systemd/user").iterdir()) == []
    again = sandbox.run("agent", "units", "--remove", "--json")
    assert json.loads(again.out)["removed"] == []
    assert "The units are not installed." in again.err
    assert sandbox.run("agent", "units", "--remove", "--install").code == 2


def test_they_start_the_program_that_was_called(
    in_process: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "fidokit"
    program.write_text("")
    monkeypatch.setattr("sys.argv", [str(program)])
    assert this_program() == program
    monkeypatch.setattr("sys.argv", ["-m"])
    assert this_program() is None
