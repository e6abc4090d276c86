"""What is longer than a line breaks at words: doctor, harden, and the agent's questions."""

from __future__ import annotations

import json
import os
import sys

import pytest
from tests.support.sandbox import Sandbox
from tests.support.screen import window

from fidokit.agent.core.ports import Consent
from fidokit.cli.commands.server import harden
from fidokit.cli.settings import Settings
from fidokit.errors import WouldOverwrite
from fidokit.server.harden.plan import HardeningPlan, HardeningTarget

QUESTION = (
    "Allow use of key alice@example.org?\\na login as alice on build.example.org\\nasked for by ssh"
)


@pytest.mark.parametrize("columns", [80, 60])
def test_doctor_breaks_at_words(sandbox: Sandbox, columns: int) -> None:
    sandbox.run("virtual", "create", "everyday")
    findings = json.loads(sandbox.run("doctor", "--json").out)["findings"]
    with sandbox.window("doctor", columns=columns, rows=60) as shown:
        lines = shown.end().splitlines()
    assert max(map(len, lines)) <= columns
    text = " ".join(" ".join(lines).split())
    sentences = [one["sentence"] for one in findings]
    short = [one for one in sentences if max(map(len, one.split())) < columns - 10]
    assert len(short) >= 5, "the others hold a path that is wider than the column"
    assert [one for one in short if one not in text] == []


def test_harden_breaks_at_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harden, "is_fancy", lambda _: True)
    monkeypatch.setattr(harden, "columns", lambda _: 80)
    users = tuple(f"user{number:02}" for number in range(40))
    plan = HardeningPlan(
        HardeningTarget(),
        "touch",
        (),
        outside=users,
        obstacle=WouldOverwrite("no"),
    )
    with pytest.raises(WouldOverwrite):
        harden.carry_out(Settings(), plan, dry_run=True, reload=False, pid=None)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 10
    assert max(map(len, lines)) <= 80
    assert all(f"{user} (not" in " ".join(" ".join(lines).split()) for user in users)


def test_a_command_of_harden_stays_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harden, "is_fancy", lambda _: True)
    monkeypatch.setattr(harden, "columns", lambda _: 40)
    command = f"  fidokit server harden touch --user alice --login-with SHA256:{'x' * 43}"
    assert harden._narrow(command) == command
    assert "\x1b" not in harden._narrow("\x1b[2J " + "word " * 20)


def test_a_question_of_the_agent_breaks_at_words() -> None:
    code = (
        "import sys, threading; from fidokit.cli.agent_host import Confirmer; "
        f"said = Confirmer().confirm('{QUESTION}', threading.Event()); print(said.name)"
    )
    env = {**os.environ, "TERM": "xterm-256color"}
    env.pop("SSH_ASKPASS_REQUIRE", None)
    with window([sys.executable, "-c", code], env, columns=60) as shown:
        shown.wait(r"\[y/N\] ?$")
        shown.type("y\n")
        assert shown.end().splitlines()[-1] == Consent.GIVEN.name
        question = shown.text().splitlines()
    assert "asked for by ssh" in " ".join(question)
    assert max(map(len, question)) <= 60
