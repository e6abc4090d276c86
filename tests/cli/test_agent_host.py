"""What an agent needs of its machine: a background, a log, a person who says yes."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from tests.support.agent_keys import executable

from fidokit.agent.core.ports import Consent
from fidokit.cli import agent_host
from fidokit.cli.agent_host import Confirmer, log
from fidokit.prompt import questions

PROGRAM = """
import os, sys
from fidokit.cli.agent_host import detaching
with detaching(True) as detach:
    {before}
    print(os.getpid(), flush=True)
    detach()
    open({mark!r}, "w").write(f"{{os.getsid(0) == os.getpid()}} {{os.getcwd()}}")
"""


@pytest.fixture
def nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "TERMINAL", str(tmp_path / "none"))
    for name in ("SSH_ASKPASS", "DISPLAY", "WAYLAND_DISPLAY", "SSH_ASKPASS_REQUIRE"):
        monkeypatch.delenv(name, raising=False)


def askpass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    program = executable(tmp_path / "askpass", "import os, sys, time\n" + body)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")


def confirm(stop: threading.Event | None = None) -> Consent:
    return Confirmer().confirm("Allow it?\nfor a login", stop or threading.Event())


@pytest.mark.parametrize(
    ("body", "yes"),
    [
        ("pass", True),
        ("print('yes')", True),
        ("print('no')", False),
        ("sys.exit(1)", False),
        ("print('yes'); sys.exit(1)", False),
        ("print('yes' if os.environ['SSH_ASKPASS_PROMPT'] == 'confirm' else 'no')", True),
        ("print('yes' if sys.argv[1] == 'Allow it?' + chr(10) + 'for a login' else 'no')", True),
    ],
)
def test_what_askpass_answers(
    body: str, yes: bool, nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass(tmp_path, monkeypatch, body)
    assert confirm() is (Consent.GIVEN if yes else Consent.DECLINED)


def test_nobody_to_ask_is_no_answer(nobody: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert confirm() is Consent.NOBODY
    monkeypatch.setenv("SSH_ASKPASS", "/none")
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    assert confirm() is Consent.NOBODY


def test_a_client_that_hung_up_ends_the_question(
    nobody: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    askpass(tmp_path, monkeypatch, "time.sleep(600)")
    stop = threading.Event()
    stop.set()
    assert confirm(stop) is Consent.DECLINED


def test_the_log_shows_strangers_text_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    log(False)("key \x1b[2J\nfaked")
    assert capsys.readouterr().err == "agent: key \\x1b[2J\\nfaked\n"


def test_the_log_of_the_background_is_the_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("syslog.syslog", lambda _level, line: lines.append(line))
    log(True)("100% \x1b")
    assert lines == ["100% \\x1b"]


def start(tmp_path: Path, before: str) -> tuple[int, str]:
    """Run the program above; its status, and what it printed."""
    import subprocess

    body = PROGRAM.format(before=before, mark=str(tmp_path / "mark"))
    done = subprocess.run(
        [sys.executable, "-c", body], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout


def test_the_starter_leaves_when_the_child_is_ready(tmp_path: Path) -> None:
    status, said = start(tmp_path, "pass")
    assert status == 0
    pid = int(said)
    pause = threading.Event()
    for _ in range(1000):
        if (tmp_path / "mark").exists() and not os.path.exists(f"/proc/{pid}"):  # noqa: PTH110
            break
        pause.wait(0.01)
    assert (tmp_path / "mark").read_text() == "True /"


def test_a_child_that_fails_gives_its_status(tmp_path: Path) -> None:
    assert start(tmp_path, "sys.exit(7)") == (7, "")


def test_in_the_foreground_nothing_is_forked() -> None:
    pid = os.getpid()
    with agent_host.detaching(False) as detach:
        detach()
        assert os.getpid() == pid
