"""A virtual token whose touches are asked for on the terminal."""

from __future__ import annotations

import pytest
from tests.cli.commands.conftest import PIN
from tests.support.sandbox import Sandbox

ASKED = "virtual:p wants a touch [Enter = touch, r = refuse]: "


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
