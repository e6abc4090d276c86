"""pinentry: its protocol, by programs that stand in for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.errors import FidokitError, Interrupted, Malformed
from fidokit.prompt import pinentry

BODY = """
import sys
def say(line):
    print(line, flush=True)
say("OK Pleased to meet you")
with open({log!r}, "w") as log:
    for line in sys.stdin:
        print(line.rstrip(), file=log, flush=True)
        if line.startswith("GETPIN"):
            {answer}
        else:
            say("S a status line")
            say("# a comment")
            say("OK")
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> Path:
    log = folder / "log"
    executable(folder / "pinentry", BODY.format(log=str(log), answer=answer))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("GPG_TTY", raising=False)
    return log


def test_a_pin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = install(tmp_path, monkeypatch, 'say("D 12%253%0A4\\u00e4"); say("OK")')
    assert pinentry.ask("PIN of token\nfor login; 100%", "That was wrong.") == "12%3\n4ä"
    said = log.read_text().splitlines()
    assert "SETDESC PIN of token%0Afor login%3B 100%25" in said
    assert "SETERROR That was wrong." in said
    assert "SETPROMPT PIN:" in said


def test_no_error_the_first_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = install(tmp_path, monkeypatch, 'say("D 1234"); say("OK")')
    pinentry.ask("PIN")
    assert "SETERROR" not in log.read_text()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ('say("ERR 83886179 Operation canceled <Pinentry>")', Interrupted),
        ("sys.exit(1)", FidokitError),
        ('say("")', FidokitError),
        ('say("D %ff"); say("OK")', Malformed),
    ],
)
def test_no_pin(
    answer: str, error: type[FidokitError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, answer)
    with pytest.raises(error):
        pinentry.ask("PIN")


def test_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FidokitError, match="cannot run"):
        pinentry.ask("PIN")


def test_whether_it_can_show_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "pass")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "GPG_TTY"):
        monkeypatch.delenv(name, raising=False)
    assert not pinentry.available()
    monkeypatch.setenv("GPG_TTY", "/dev/tty9")
    assert pinentry.available()
    monkeypatch.setenv("PATH", "/none")
    assert not pinentry.available()
