"""What `doctor` and `pin status` tell to type, typed: afterwards it is well, or the next step."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Sequence

import pytest
from tests.support.sandbox import Answer, Sandbox

PIN = "1234"
NEW = [("New PIN", "2468\n"), ("New PIN again: ", "2468\n")]


def problem(sandbox: Sandbox, check: str) -> str:
    """The hint of a check that is not well; empty where it is, or is not made."""
    findings = json.loads(sandbox.run("doctor", "--json").out)["findings"]
    return next((f["hint"] for f in findings if f["check"] == check and f["status"] != "ok"), "")


def follow(sandbox: Sandbox, hint: str, answers: Sequence[Answer] = ()) -> None:
    """Type the one command of a hint."""
    (command,) = re.findall(r"`([^`]+)`", hint)
    words = shlex.split(command)
    if words[0] != "fidokit":
        subprocess.run(["sh", "-c", command], env=sandbox.env, cwd=sandbox.home, check=True)
        return
    done = sandbox.talk(*words[1:], answers=answers)
    assert done.code == 0, done.out


def no_token(sandbox: Sandbox) -> None:
    del sandbox


def no_pin(sandbox: Sandbox) -> None:
    for name in ("t", "other"):  # so that one has to be named
        assert sandbox.run("virtual", "create", name).code == 0
    with_pin(sandbox, "other")


def with_pin(sandbox: Sandbox, name: str) -> None:
    (sandbox.home / "pin").write_text(PIN)
    done = sandbox.run("--token", f"virtual:{name}", "pin", "set", "--new-pin-file", "pin")
    assert done.code == 0, done.err


def old_pin(sandbox: Sandbox) -> None:
    no_pin(sandbox)
    with_pin(sandbox, "t")
    forced = sandbox.run("--token", "virtual:t", "pin", "force-change", "--pin-file", "pin")
    assert forced.code == 0, forced.err


def blocked(sandbox: Sandbox) -> None:
    no_pin(sandbox)
    with_pin(sandbox, "t")
    (sandbox.home / "wrong").write_text("9999")
    wrong = ("--token", "virtual:t", "pin", "verify", "--pin-file", "wrong", "--spend-last-try")
    assert [sandbox.run(*wrong).code for _ in range(8)][-1] == 6


def open_folder(sandbox: Sandbox) -> None:
    (sandbox.home / ".ssh").mkdir(mode=0o755)
    (sandbox.home / ".ssh").chmod(0o755)


def open_key(sandbox: Sandbox) -> None:
    (sandbox.home / ".ssh").mkdir(mode=0o700)
    key = sandbox.home / ".ssh/my key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    key.chmod(0o644)


@pytest.mark.parametrize(
    ("check", "prepare", "answers"),
    [
        ("token", no_token, []),
        ("pin", no_pin, NEW),
        ("pin", old_pin, [("tries left): ", f"{PIN}\n"), *NEW]),
        ("pin", blocked, [("to go on: ", "t\n")]),
        ("ssh-folder", open_folder, []),
        ("private-key-mode", open_key, []),
    ],
    ids=["no token", "no pin", "old pin", "blocked", "folder", "key"],
)
def test_what_doctor_tells_to_type(
    sandbox: Sandbox, check: str, prepare: Callable[[Sandbox], None], answers: list[Answer]
) -> None:
    prepare(sandbox)
    before = problem(sandbox, check)
    assert before
    follow(sandbox, before, answers)
    after = problem(sandbox, check)
    assert after != before
    assert not after or prepare is blocked, "a reset token has no PIN"


@pytest.mark.parametrize(
    ("prepare", "answers"),
    [
        (no_pin, NEW),
        (old_pin, [("tries left): ", f"{PIN}\n"), *NEW]),
        (blocked, [("to go on: ", "t\n")]),
    ],
    ids=["no pin", "old pin", "blocked"],
)
def test_what_pin_status_tells_to_type(
    sandbox: Sandbox, prepare: Callable[[Sandbox], None], answers: list[Answer]
) -> None:
    """With several tokens, too: the one that was asked about is meant."""
    prepare(sandbox)
    status = ("--token", "virtual:t", "pin", "status")
    said = sandbox.run(*status).out
    (command,) = re.findall(r"fidokit --token .*$", said, re.MULTILINE)
    follow(sandbox, f"`{command}`", answers)
    assert command not in sandbox.run(*status).out
