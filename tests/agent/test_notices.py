"""Touch notices: a line, a notification, a command; whatever the text is."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.agent.core.ports import Purpose
from fidokit.agent.notices import Notices

pytestmark = pytest.mark.usefixtures("home")

PURPOSE = Purpose("me (SHA256:x)", "login as me to <b>near</b>\n\x1b[2J")
BODY = """
import json, os, sys
names = [name for name in os.environ if name.startswith("FIDOKIT_")]
with open({path!r}, "a") as out:
    out.write(json.dumps([sys.argv[1:], {{name: os.environ[name] for name in names}}]) + chr(10))
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where our notify-send and the hook write what they were told."""
    executable(tmp_path / "notify-send", BODY.format(path=str(tmp_path / "told")))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path / "told"


def heard(path: Path, count: int) -> list[list[object]]:
    """Wait for `count` lines."""
    deadline = time.monotonic() + 30
    pause = threading.Event()
    while not path.exists() or path.read_text().count("\n") < count:
        assert time.monotonic() < deadline
        pause.wait(0.01)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_for_the_log() -> None:
    lines: list[str] = []
    Notices(lines.append).wanted("Token (usb:1)", PURPOSE)
    assert lines[0].startswith("Touch your security key (Token (usb:1)): login as me")


def test_a_notification_without_markup_of_strangers(told: Path) -> None:
    Notices(lambda _line: None, desktop=True).wanted("Token", PURPOSE)
    [[arguments, _]] = heard(told, 1)
    assert isinstance(arguments, list)
    assert arguments[-2] == "Touch your security key: Token"
    assert "&lt;b>near" in arguments[-1]
    assert "\x1b" not in arguments[-1]


def test_a_hook_hears_begin_and_end(told: Path) -> None:
    notices = Notices(lambda _line: None, hook=("notify-send", "an argument"))
    notices.wanted("Token", PURPOSE)
    heard(told, 1)
    notices.over()
    (arguments, wanted), (_, over) = heard(told, 2)
    assert arguments == ["an argument"]
    assert isinstance(wanted, dict)
    assert isinstance(over, dict)
    assert wanted["FIDOKIT_EVENT"] == "touch-wanted"
    assert wanted["FIDOKIT_TOKEN"] == "Token"
    assert wanted["FIDOKIT_KEY"] == "me (SHA256:x)"
    assert wanted["FIDOKIT_PURPOSE"] == "login as me to <b>near</b>??[2J"
    assert over["FIDOKIT_EVENT"] == "touch-over"


def test_what_cannot_be_run_spoils_nothing() -> None:
    notices = Notices(lambda _line: None, hook=("/none/at/all",))
    notices.wanted("Token", PURPOSE)
    notices.over()
