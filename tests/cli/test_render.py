"""Output: nothing hostile reaches a terminal, pipes get fields, JSON gets its envelope."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from fidokit.cli import render
from fidokit.cli.settings import Settings
from fidokit.errors import PinWrong, TouchRefused

HOSTILE = "\x1b[2J\x1b]0;owned\x07evil\u202egpj.exe\u200b\r\n\t\udc80"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def show_on(screen: Terminal, human: render.Shown) -> str:
    with contextlib.redirect_stdout(screen):
        render.show(Settings(), {}, human)
    return screen.getvalue()


def listing(rows: list[tuple[str | None, ...]]) -> render.Listing:
    columns = [render.Column("Application", "1"), render.Column("User name")]
    return render.Listing(columns, rows, "Nothing here. Do this: fidokit")


def test_pipe_gets_tab_separated_fields(capsys: pytest.CaptureFixture[str]) -> None:
    render.show(Settings(), {}, listing([("ssh:", None), ("a\tb", "c")]))
    assert capsys.readouterr().out == "APPLICATION\tUSER-NAME\nssh:\t-\na\\tb\tc\n"


def test_empty_listing_says_what_to_do_and_prints_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    render.show(Settings(), {}, listing([]))
    said = capsys.readouterr()
    assert said.out == ""
    assert "Do this: fidokit" in said.err


def test_terminal_gets_a_table(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_on(terminal, listing([("ssh:work", "alice")]))
    assert "Application" in terminal.getvalue()
    assert "\x1b[1mssh:work   \x1b[0m  alice\n" in terminal.getvalue()


def test_narrow_terminal_gets_cards_with_nothing_cut(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    long = "SHA256:" + "x" * 43
    show_on(terminal, listing([("ssh:work", long)]))
    assert long in terminal.getvalue()
    assert "user name" in terminal.getvalue()


def test_table_leaves_out_columns_without_content(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_on(terminal, listing([("ssh:work", ""), ("ssh:home", None)]))
    assert "Application" in terminal.getvalue()
    assert "User name" not in terminal.getvalue()


def test_long_values_are_broken_between_words_on_a_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    words = "one, two, three, four, five, six, seven, eight"
    shown = show_on(terminal, render.Facts("", [("label", words)]))
    assert shown == "  label  one, two, three, four, five,\n         six, seven, eight\n"


@pytest.mark.parametrize("columns", ["30", "300"])
def test_hostile_text_stays_harmless_in_tables_and_cards(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("NO_COLOR", "1")
    show_on(terminal, listing([(HOSTILE, "[red]" + HOSTILE)]))
    shown = terminal.getvalue()
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "\u202e" not in shown
    assert "[red]" in shown


def test_no_color_and_dumb_terminals_get_no_escape_sequences(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    facts = render.Facts("Title", [("label", "value")], "footer")
    show_on(terminal, facts)
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    show_on(terminal, facts)
    assert terminal.getvalue() == "Title\n  label  value\n\nfooter\n" * 2


def test_terminal_with_color_gets_a_bold_title(terminal: Terminal) -> None:
    show_on(terminal, render.Facts("Title", [("label", "value")]))
    assert terminal.getvalue().startswith("\x1b[1mTitle\x1b[0m\n")


def test_checks_put_the_remedy_under_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    checks = [
        render.Check("ok", "32", "all is well", ""),
        render.Check("PROBLEM", "31", "no \x1b token", "plug\none in"),
    ]
    render.show(Settings(), {}, render.Checks(checks))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "ok       all is well",
        "PROBLEM  no \\x1b token",
        "         plug",
        "         one in",
    ]


def test_json_has_its_schema_and_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings()
    settings.json = True
    render.show(settings, {"name": HOSTILE}, render.Lines(["never printed"]))
    out = capsys.readouterr().out
    assert json.loads(out) == {"schema": 1, "name": HOSTILE}
    assert out.isascii()
    assert "\x1b" not in out


def test_lines_are_written_in_batches(capsys: pytest.CaptureFixture[str]) -> None:
    render.write_lines(f"line {n}" for n in range(10_000))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10_000
    assert lines[-1] == "line 9999"


def test_no_lines_write_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    render.write_lines([])
    assert capsys.readouterr().out == ""


def test_error_data_carries_tries_where_known() -> None:
    wrong = render.error_data(PinWrong("the PIN is wrong", retries=3, hint="try again"))
    assert wrong == {
        "kind": "PinWrong",
        "message": "the PIN is wrong",
        "hint": "try again",
        "exit_code": 5,
        "retries": 3,
    }
    assert "retries" not in render.error_data(TouchRefused("no"))


def test_a_command_in_a_hint_stays_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that it can be copied, also where the sentence around it is broken between words."""
    monkeypatch.setattr(render, "is_fancy", lambda _stream: True)
    monkeypatch.setenv("COLUMNS", "50")
    command = "`sudo fidokit udev install --group fido --force`"
    hint = f"the rules open it to the user at the machine; for others, run {command}"
    render.show(Settings(), {}, render.Checks([render.Check("ok", "", "a sentence", hint)]))
    lines = capsys.readouterr().out.splitlines()
    assert any(command in line for line in lines)
    assert " ".join(" ".join(lines).split()).endswith(hint)
