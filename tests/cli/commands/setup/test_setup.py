"""`fidokit setup`: with a file of answers, on a terminal, and without either."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.support.sandbox import Sandbox

Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]
PIN = "9472-pin"
ANSWERS = """
[key]
file = "~/.ssh/id_work"
verify_required = true
[git]
sign = false
"""


@pytest.fixture
def token(in_process: Run, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    assert in_process("virtual", "create", "t") == 0
    (sandbox.home / "pin").write_text(f"{PIN}\n")
    (sandbox.home / "answers").write_text(ANSWERS)
    return sandbox


def test_answers(in_process: Run, token: Sandbox, capsys: Capture) -> None:
    capsys.readouterr()
    words = ("setup", "--answers", "answers", "--pin-file", "pin", "--no-passphrase")
    assert in_process(*words, "--new-pin-file", "pin") == 0
    shown = capsys.readouterr().out
    assert "1. The security key\n" in shown
    assert "   done        the PIN is set\n   $ fidokit pin set\n" in shown
    assert "   $ fidokit key generate -t ed25519-sk -O resident -O verify-required" in shown
    assert shown.endswith("Your key is ~/.ssh/id_work. All that you asked for is done.\n")
    assert PIN not in shown
    assert in_process(*words, "--json") == 0
    found = json.loads(capsys.readouterr().out)["setup"]
    states = {step["name"]: step["outcome"] for step in found["steps"]}
    assert (states["pin"], states["key"], states["test"]) == ("was so", "was so", "done")
    assert found["key"] == str(token.home / ".ssh/id_work")
    assert found["fingerprint"].startswith("SHA256:")


def test_neither_answers_nor_a_terminal(in_process: Run, token: Sandbox, capsys: Capture) -> None:
    assert in_process("setup") == 2
    said = capsys.readouterr().err
    assert "there is no terminal" in said
    assert "fidokit setup --answers FILE" in said


def test_a_step_that_fails_is_the_status(in_process: Run, token: Sandbox, capsys: Capture) -> None:
    (token.home / "answers").write_text(f'[key]\nbackup = "virtual:none"\n{ANSWERS[6:]}')
    words = ("setup", "--answers", "answers", "--pin-file", "pin", "--no-passphrase")
    assert in_process(*words, "--new-pin-file", "pin", "--backup-pin-file", "pin") == 1
    shown = capsys.readouterr().out
    assert "   failed      no security key" in shown or "virtual:none" in shown
    assert "Look again at: backup. `fidokit setup` goes on from here." in shown


def test_a_backup_with_its_own_pin(in_process: Run, token: Sandbox, capsys: Capture) -> None:
    assert in_process("virtual", "create", "spare") == 0
    (token.home / "other").write_text("another-pin\n")
    assert in_process("--token", "virtual:spare", "pin", "set", "--new-pin-file", "other") == 0
    text = 'token = "virtual:t"\n' + ANSWERS.replace("[git]", 'backup = "virtual:spare"\n[git]')
    (token.home / "answers").write_text(text)
    words = ("setup", "--answers", "answers", "--pin-file", "pin", "--no-passphrase")
    assert in_process(*words, "--new-pin-file", "pin", "--backup-pin-file", "other") == 0
    shown = capsys.readouterr().out
    assert "   $ fidokit --token virtual:t pin set\n" in shown
    assert "key generate --backup-of ~/.ssh/id_work" in shown
    assert (token.home / ".ssh/id_work_backup").exists()


def test_answers_that_are_none(in_process: Run, token: Sandbox, capsys: Capture) -> None:
    (token.home / "answers").write_text("pin = '1234'\n")
    assert in_process("setup", "--answers", "answers") == 4
    assert "--pin-file" in capsys.readouterr().err


def test_no_token(in_process: Run, sandbox: Sandbox, capsys: Capture) -> None:
    (sandbox.home / "answers").write_text("")
    assert in_process("setup", "--answers", "answers") == 3
    assert capsys.readouterr().err


def test_questions_on_a_terminal(token: Sandbox) -> None:
    """Enter is the usual answer; a wrong one is asked again; the first PIN is typed twice."""
    answers = [
        ("Set a PIN now? [Y/n]", "x\n"),
        ("'x' is neither y nor n.", ""),
        ("Set a PIN now? [Y/n]", "\n"),
        ("New PIN of", f"{PIN}\n"),
        ("New PIN again", f"{PIN}\n"),
        ("recover it on another computer? [Y/n]", "\n"),
        ("besides the touch? [y/N]", "\n"),
        ("Its name on the token [ssh:]:", "work\n"),
        ("File for the key [~/.ssh/id_ed25519_sk_work]:", "\n"),
        ("New passphrase for", "\n"),
        ("again", "\n"),
        ("Make a backup on another security key now? [y/N]", "y\n"),
        ("Plug in the other security key, then press Enter", "n\n"),
        ("Server to log in to, as user@host (Enter for none):", "\n"),
        ("GitHub account? [y/N]", "\n"),
        ("GitLab account? [y/N]", "\n"),
        ("sign your commits by it? [Y/n]", "n\n"),
        ("Make a test signature? [Y/n]", "\n"),
    ]
    done = token.talk("setup", answers=answers)
    assert done.code == 0, done.out
    assert "All that you asked for is done." in done.out
    assert "for making the key" not in done.out  # the PIN was chosen a minute ago
    again = token.talk("setup", answers=[("Which key? [1]:", "7\n"), ("from 1 to 3.", "\x03")])
    assert again.code == 130
    assert "id_ed25519_sk_work" in again.out
