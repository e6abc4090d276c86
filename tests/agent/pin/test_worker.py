"""The child that handles a PIN: where it comes from, how often it is asked for, what is kept."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.agent.pin import worker as agent_worker
from fidokit.agent.pin.worker import MOST_QUESTIONS, Worker
from fidokit.client.ports import PinCode
from fidokit.errors import Interrupted, PinRequired, PinWrong
from fidokit.prompt import questions

ASKPASS = """
import sys
open({log!r}, "a").write(sys.argv[1] + chr(10))
lines = open({answers!r}).read().splitlines()
open({answers!r}, "w").write(chr(10).join(lines[1:]))
print(lines[0])
"""


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """SSH_ASKPASS, whose questions are written here; its answers are the lines of `answers`."""
    log, answers = tmp_path / "asked", tmp_path / "answers"
    answers.write_text("2580\n")
    program = executable(tmp_path / "askpass", ASKPASS.format(log=str(log), answers=str(answers)))
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setattr(questions, "TERMINAL", str(tmp_path / "none"))
    return log


Make = Callable[..., Worker]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    def worker(pin: bytes = b"", **order: object) -> Worker:
        read, write = os.pipe()
        os.write(write, pin)
        os.close(write)
        made = Worker({"pin_in": read, "what": "login", "key_name": "k", **order})
        made._go.set()  # the agent lets it ask
        return made

    return worker


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = capsys.readouterr().out.splitlines()
    return [json.loads(line)["event"] for line in lines]


def pin(worker: Worker, *, wrong: bool = False, retries: int | None = 8) -> PinCode:
    return worker.ask_pin("Token (usb:1)", retries, "signing", wrong)


def test_the_pin_that_was_kept_comes_first(make: Make, asked: Path) -> None:
    assert pin(make(b"1357")) == PinCode.parse("1357")
    assert not asked.exists()


def test_a_kept_pin_that_is_wrong_is_told_and_asked_for(
    make: Make, asked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = make(b"1357")
    pin(worker)
    assert pin(worker, wrong=True, retries=7) == PinCode.parse("2580")
    assert events(capsys) == ["pin_wrong", "ask", "asked"]
    assert "wrong" in asked.read_text()
    assert worker.typed == PinCode.parse("2580")


def test_the_question_says_what_it_is_for(make: Make, asked: Path) -> None:
    pin(make(), retries=1)
    question = asked.read_text()
    for part in ("PIN of Token (usb:1)", "for login", "key k", "1 try left"):
        assert part in question


def test_a_pin_that_no_token_has_costs_no_try(make: Make, asked: Path, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("12\n2580\n")
    assert pin(make()) == PinCode.parse("2580")
    assert "too short" in asked.read_text()


def test_three_questions_and_no_more(make: Make, asked: Path, tmp_path: Path) -> None:
    (tmp_path / "answers").write_text("1111\n2222\n3333\n4444\n")
    worker = make()
    for number in range(MOST_QUESTIONS):
        pin(worker, wrong=number > 0)
    with pytest.raises(PinWrong):
        pin(worker, wrong=True)


def test_nobody_to_ask(make: Make, asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_ASKPASS")
    for method in ("auto", "terminal", "askpass"):
        with pytest.raises(PinRequired):
            pin(make(method=method))


def test_a_client_that_hung_up_is_not_asked_for(make: Make, asked: Path) -> None:
    worker = make()
    worker.stop.set()
    with pytest.raises(Interrupted):
        pin(worker)
    assert not asked.exists()


def test_methods(make: Make, asked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fidokit.prompt.pinentry.ask", lambda _text, _error: "9999")
    monkeypatch.setattr("fidokit.prompt.pinentry.available", lambda: True)
    assert pin(make(method="pinentry")) == PinCode.parse("9999")
    assert pin(make(method="auto")) == PinCode.parse("2580")
    monkeypatch.delenv("SSH_ASKPASS")
    assert pin(make(method="auto")) == PinCode.parse("9999")


def test_strangers_text_is_escaped_everywhere(
    make: Make, asked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("fidokit.prompt.pinentry.ask", lambda text, _: shown.append(text) or "9999")
    for method in ("pinentry", "askpass"):
        pin(make(method=method, what="login as \x1b[2J\u202e"))
    for text in (*shown, asked.read_text()):
        assert "\x1b" not in text
        assert "\\x1b[2J" in text
    assert shown[0].count("\n") == 3


def test_what_was_typed_is_handed_over_only_where_it_is_wanted(make: Make, asked: Path) -> None:
    for keep in (True, False):
        read, write = os.pipe()
        agent_worker._keep({"pin_out": write, "keep": keep}, PinCode.parse("2580"))
        agent_worker._keep({"pin_out": write, "keep": keep}, None)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            assert pipe.read() == (b"2580" if keep else b"")


def test_the_agents_input_lets_it_go_on_and_its_end_cancels(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, write = os.pipe()
    worker = make()
    worker._go.clear()
    with os.fdopen(read) as lines:
        monkeypatch.setattr("sys.stdin", lines)
        thread = threading.Thread(target=worker.listen)
        thread.start()
        os.write(write, b"go\n")
        assert worker._go.wait(30)
        assert not worker.stop.is_set()
        os.close(write)
        thread.join(30)
    assert worker.stop.is_set()


def test_touches_are_passed_on(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    worker = make()
    worker.touch_wanted("Token", "why")
    worker.touch_over()
    assert events(capsys) == ["touch_wanted", "touch_over"]
    assert worker.choose_token([]) is None
    with pytest.raises(PinRequired):
        worker.ask_new_pin("Token", 4, 63)
