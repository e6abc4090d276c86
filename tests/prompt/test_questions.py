"""Asking: who is asked when, what a file may hold, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.cli.commands.conftest import PIN
from tests.support.sandbox import Sandbox

from fidokit.errors import FidokitError, Interrupted, Malformed, NoPermission, UsageError
from fidokit.prompt import questions


def script(folder: Path, text: str) -> str:
    path = folder / "askpass"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return str(path)


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(questions, "TERMINAL", str(tmp_path / "none"))
    for name in ("SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("require", "display", "terminal", "used"),
    [
        ("", "", False, False),
        ("", ":0", False, True),
        ("", ":0", True, False),
        ("prefer", ":0", True, True),
        ("prefer", "", True, False),
        ("force", "", True, True),
        ("force", "", False, True),
        ("never", ":0", False, False),
    ],
)
def test_askpass_follows_the_rules_of_ssh(
    require: str, display: str, terminal: bool, used: bool
) -> None:
    environ = {"SSH_ASKPASS": "/x", "SSH_ASKPASS_REQUIRE": require, "DISPLAY": display}
    assert questions.askpass_program(environ, terminal=terminal) == ("/x" if used else None)


def test_wayland_is_a_display_too() -> None:
    environ = {"SSH_ASKPASS": "/x", "WAYLAND_DISPLAY": "wayland-0"}
    assert questions.askpass_program(environ, terminal=False) == "/x"


def test_no_askpass_without_its_variable() -> None:
    assert questions.askpass_program({"SSH_ASKPASS_REQUIRE": "force"}, terminal=False) is None


@pytest.mark.usefixtures("no_terminal")
class TestWithoutTerminal:
    def test_nobody_can_be_asked(self) -> None:
        assert questions.ask_secret("PIN: ") is None
        assert questions.ask_line("Name: ") is None
        assert questions.confirmed("Sure?") is None

    def test_yes_must_be_said_by_option(self) -> None:
        with pytest.raises(UsageError) as caught:
            questions.require_yes("Sure?")
        assert caught.value.hint == "add --yes"

    def test_askpass_is_asked_with_an_escaped_prompt(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(
            "SSH_ASKPASS", script(tmp_path, f'printf %s "$1" > {tmp_path}/seen; echo 1234')
        )
        monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
        assert questions.ask_secret("PIN of \x1b[2J: ") == "1234"
        assert (tmp_path / "seen").read_text() == "PIN of \\x1b[2J: "

    def test_canceled_askpass_interrupts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSH_ASKPASS", script(tmp_path, "exit 1"))
        monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
        with pytest.raises(Interrupted):
            questions.ask_secret("PIN: ")

    def test_missing_askpass_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SSH_ASKPASS", "/no/such/program")
        monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
        with pytest.raises(FidokitError, match="/no/such/program"):
            questions.ask_secret("PIN: ")


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (b"1234\n", "1234"),
        (b"1234", "1234"),
        (b"1234\r\n", "1234"),
        (b" 12 34 \nrest", " 12 34 "),
        ("gr\u00fc\u00dfe\n".encode(), "gr\u00fc\u00dfe"),
        (b"\n", ""),
        (b"x" * questions.LONGEST_SECRET, "x" * questions.LONGEST_SECRET),
    ],
)
def test_first_line_of_a_file_is_the_secret(tmp_path: Path, content: bytes, secret: str) -> None:
    (tmp_path / "pin").write_bytes(content)
    assert questions.read_secret(str(tmp_path / "pin"), "PIN") == secret


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b"x" * (questions.LONGEST_SECRET + 1)])
def test_unusable_files_are_refused_without_their_content(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pin").write_bytes(content)
    with pytest.raises(Malformed) as caught:
        questions.read_secret(str(tmp_path / "pin"), "PIN")
    assert "xxx" not in caught.value.message


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FidokitError, match=r"cannot read the PIN from .*nothing"):
        questions.read_secret(str(tmp_path / "nothing"), "PIN")


def test_permission_is_its_own_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_more: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(NoPermission):
        questions.read_secret("/etc/shadow", "PIN")


def test_two_secrets_of_one_descriptor_are_two_lines() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"old1\nnew2\n")
    os.close(writing)
    try:
        assert questions.read_secret(reading, "PIN") == "old1"
        assert questions.read_secret(reading, "new PIN") == "new2"
    finally:
        os.close(reading)


def test_closed_descriptor_is_an_error() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    os.close(reading)
    with pytest.raises(FidokitError, match=f"file descriptor {reading}"):
        questions.read_secret(reading, "PIN")


@pytest.mark.parametrize("number", [-1, -3, 1 << 31, 1 << 64])
def test_a_number_that_no_descriptor_has(number: int) -> None:
    with pytest.raises(UsageError, match=f"no file descriptor {number}") as caught:
        questions.read_secret(number, "PIN")
    assert caught.value.hint


ASKED = "virtual:p needs a touch [Enter = touch, r = refuse]: "


@pytest.fixture
def prompting(sandbox: Sandbox) -> Sandbox:
    (sandbox.home / "pin").write_text(f"{PIN}\n")
    for args in (
        ("virtual", "create", "p", "--presence", "prompt"),
        ("--token", "virtual:p", "pin", "set", "--new-pin-file", "pin"),
    ):
        assert sandbox.run(*args).code == 0
    return sandbox


GENERATE = ("--token", "virtual:p", "key", "generate", "-f", "k", "--no-passphrase")


@pytest.mark.parametrize(
    ("typed", "code"),
    [("\n", 0), ("r\n", 7), ("REFUSE\n", 7), ("\x04", 7)],
    ids=["Enter", "r", "a word", "end of file"],
)
def test_the_person_is_the_finger(prompting: Sandbox, typed: str, code: int) -> None:
    done = prompting.talk(*GENERATE, "--pin-file", "pin", answers=[(ASKED, typed)])
    assert done.code == code, done.out
    assert (prompting.home / "k").exists() == (code == 0)
    assert "Touch your security key" not in done.out  # one announcement is enough


def test_another_answer_is_asked_again(prompting: Sandbox) -> None:
    answers = [(ASKED, "perhaps\n"), (ASKED, "\n")]
    assert prompting.talk(*GENERATE, "--pin-file", "pin", answers=answers).code == 0


def test_ctrl_c_ends_the_question(prompting: Sandbox) -> None:
    done = prompting.talk(*GENERATE, "--pin-file", "pin", answers=[(ASKED, "\x03")])
    assert done.code == 130
    assert not (prompting.home / "k").exists()


def test_without_a_terminal_it_refuses_and_says_how_to_go_on(prompting: Sandbox) -> None:
    done = prompting.run(*GENERATE, "--pin-file", "pin")
    assert done.code == 7
    assert "virtual:p asks for each touch on a terminal, and there is none" in done.err
    assert "hint: run this in a terminal, or use a token made with --presence auto" in done.err


def test_what_needs_no_touch_needs_no_terminal(prompting: Sandbox) -> None:
    assert prompting.run("--token", "virtual:p", "pin", "status").code == 0


def test_a_reset_asks_too(prompting: Sandbox) -> None:
    args = ("--token", "virtual:p", "token", "reset", "--confirm", "p")
    assert prompting.talk(*args, answers=[(ASKED, "\n")]).code == 0
