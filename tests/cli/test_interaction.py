"""The person behind the command: PIN sources, tries, touch notices, choosing a token."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fidokit.cli.interaction import TerminalInteraction
from fidokit.cli.settings import Settings
from fidokit.client.ports import Candidate
from fidokit.errors import PinPolicy, PinRequired, PinWrong, SeveralTokens
from fidokit.prompt import questions
from fidokit.types import Transport

Script = Callable[..., list[str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Answer questions from a script; returns the prompts that were shown."""

    def install(*answers: str | None) -> list[str]:
        prompts: list[str] = []
        left = list(answers)

        def answer(prompt: str) -> str | None:
            prompts.append(prompt)
            return left.pop(0)

        monkeypatch.setattr(questions, "ask_secret", answer)
        monkeypatch.setattr(questions, "ask_line", answer)
        monkeypatch.setattr(questions, "has_terminal", lambda: answers != (None,))
        return prompts

    return install


def person(**options: object) -> TerminalInteraction:
    settings = Settings()
    for name, value in options.items():
        setattr(settings, name, value)
    return TerminalInteraction(settings)


def candidate(name: str, product: str = "Virtual") -> Candidate:
    return Candidate(
        transport=Transport.VIRTUAL,
        path=name,
        product=product,
        serial=None,
        selector=f"virtual:{name}",
        durable=True,
        open=lambda: pytest.fail("nobody chose this token yet"),
    )


def test_pin_prompt_names_token_reason_and_tries(typed: Script) -> None:
    prompts = typed("1234")
    assert person().ask_pin("Key", 7, "listing keys", False).utf8() == b"1234"
    assert prompts == ["PIN of Key, for listing keys (7 tries left): "]


@pytest.mark.parametrize(
    ("retries", "said"), [(None, ""), (1, " (1 try left)"), (2, " (2 tries left)")]
)
def test_tries_left(typed: Script, retries: int | None, said: str) -> None:
    prompts = typed("1234")
    person().ask_pin("Key", retries, "it", False)
    assert prompts == [f"PIN of Key, for it{said}: "]


def test_wrong_pin_is_said_before_asking_again(
    typed: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("1234")
    person().ask_pin("Key", 6, "it", True)
    assert capsys.readouterr().err == "That PIN was wrong.\n"


def test_pin_that_cannot_be_is_asked_again_without_a_try(
    typed: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = typed("123", "1234")
    assert person().ask_pin("Key", 8, "it", False).utf8() == b"1234"
    assert len(prompts) == 2
    assert "too short" in capsys.readouterr().err


def test_nobody_to_ask(typed: Script) -> None:
    typed(None)
    with pytest.raises(PinRequired) as caught:
        person().ask_pin("Key", 8, "listing keys", False)
    assert "--pin-file" in caught.value.hint


def test_pin_file_is_read_and_not_tried_twice(tmp_path: Path, typed: Script) -> None:
    prompts = typed()
    (tmp_path / "pin").write_text("1234\n")
    someone = person(pin_file=str(tmp_path / "pin"))
    assert someone.ask_pin("Key", 8, "it", False).utf8() == b"1234"
    with pytest.raises(PinWrong) as caught:
        someone.ask_pin("Key", 7, "it", True)
    assert caught.value.retries == 7
    assert caught.value.hint == "check the file that holds it; 7 tries left"
    assert prompts == []


def test_new_pin_is_asked_twice_until_both_agree(
    typed: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts = typed("123456", "123457", "123456", "123456")
    assert person().ask_new_pin("Key", 6, 63).utf8() == b"123456"
    assert prompts[:2] == ["New PIN of Key (6 to 63 characters): ", "New PIN again: "]
    assert capsys.readouterr().err == "The two are not the same.\n"


def test_new_pin_against_the_rules_is_asked_again(
    typed: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("12345", "12345", "123456789", "123456789", "123456", "123456")
    assert person().ask_new_pin("Key", 6, 8).utf8() == b"123456"
    said = capsys.readouterr().err
    assert "too short" in said
    assert "too long" in said


@pytest.mark.parametrize("text", ["12345", "123456789"])
def test_new_pin_file_is_held_against_the_rules(tmp_path: Path, text: str) -> None:
    (tmp_path / "pin").write_text(text)
    with pytest.raises(PinPolicy):
        person(new_pin_file=str(tmp_path / "pin")).ask_new_pin("Key", 6, 8)


def test_new_pin_needs_somebody(typed: Script) -> None:
    typed(None)
    with pytest.raises(PinRequired) as caught:
        person().ask_new_pin("Key", 4, 63)
    assert "--new-pin-file" in caught.value.hint


def test_touch_is_a_line_where_nobody_looks_on(capsys: pytest.CaptureFixture[str]) -> None:
    someone = person()
    someone.touch_wanted("Key \x1b[2J", "creating the key")
    someone.touch_over()
    err = capsys.readouterr().err
    assert err == "Touch your security key (Key \\x1b[2J): creating the key\n"


def test_touch_over_without_touch_is_nothing() -> None:
    person().touch_over()


def test_no_progress_means_no_spinner(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _self: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    person(progress=False).touch_wanted("Key", "it")
    assert capsys.readouterr().err == "Touch your security key (Key): it\n"


def test_choosing_from_the_list(typed: Script, capsys: pytest.CaptureFixture[str]) -> None:
    prompts = typed("0", "x", "3", "2")
    tokens = [candidate("a"), candidate("b", "Evil\x1b[2J")]
    assert person().choose_token(tokens) is tokens[1]
    assert len(prompts) == 4
    assert "Evil\\x1b[2J" in capsys.readouterr().err


def test_enter_means_by_touch(typed: Script) -> None:
    typed("")
    assert person().choose_token([candidate("a"), candidate("b")]) is None


def test_a_script_gets_the_list_in_the_error(typed: Script) -> None:
    typed(None)
    with pytest.raises(SeveralTokens) as caught:
        person().choose_token([candidate("a"), candidate("b")])
    assert "virtual:a" in caught.value.hint
    assert "virtual:b" in caught.value.hint
