"""`fidokit doctor` and `fidokit demo`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.support.sandbox import Sandbox

from fidokit.guide.demo import DemoMismatch, Step
from fidokit.guide.doctor import Finding, Status

Run = Callable[..., int]
FINDINGS = [
    Finding("openssh", Status.OK, "OpenSSH 9.2 is here"),
    Finding("agent", Status.WARN, "no agent", "start one"),
    Finding("hid", Status.FAIL, "no access to \x1b[2J", "do this\nthen that"),
]


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    found = list(FINDINGS)
    monkeypatch.setattr("fidokit.guide.doctor.diagnose", lambda: found)
    return found


def test_problems_are_told_with_their_remedy(
    in_process: Run, findings: list[Finding], capsys: pytest.CaptureFixture[str]
) -> None:
    assert findings
    assert in_process("doctor") == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok       OpenSSH 9.2 is here",
        "note     no agent",
        "         start one",
        "PROBLEM  no access to \\x1b[2J",
        "         do this",
        "         then that",
    ]


def test_notes_alone_are_no_failure(in_process: Run, findings: list[Finding]) -> None:
    findings.pop()
    assert in_process("doctor") == 0


def test_findings_as_json(
    in_process: Run, findings: list[Finding], capsys: pytest.CaptureFixture[str]
) -> None:
    assert in_process("doctor", "--json") == 1
    document = json.loads(capsys.readouterr().out)
    assert [f["status"] for f in document["findings"]] == ["ok", "warn", "fail"]
    assert len(findings) == 3


def test_real_doctor_names_this_machine(sandbox: Sandbox) -> None:
    done = sandbox.run("doctor", "--json")
    assert done.code in {0, 1}
    findings = json.loads(done.out)["findings"]
    assert findings
    assert all(set(f) == {"check", "status", "sentence", "hint"} for f in findings)
    assert all(f["hint"] for f in findings if f["status"] == "fail")


def test_udev_rules_can_be_piped(sandbox: Sandbox) -> None:
    done = sandbox.run("doctor", "--udev")
    assert done.code == 0
    assert "hidraw" in done.out
    document = json.loads(sandbox.run("doctor", "--udev", "--json").out)
    assert document["udev"]["rules"].strip() == done.out.strip()
    assert document["udev"]["path"].startswith("/")


def test_demo_is_a_tour_that_agrees(sandbox: Sandbox) -> None:
    done = sandbox.run("demo")
    assert done.code == 0, done.err
    assert done.out.startswith("1. ")
    assert "   $ fidokit key generate" in done.out
    assert "All of it agrees." in done.out
    assert max(map(len, done.out.split("\n   $ ")[0].splitlines())) <= 100


def test_demo_as_json_in_a_folder_that_is_kept(sandbox: Sandbox) -> None:
    kept = sandbox.home / "kept"
    done = sandbox.run("demo", "--json", "--keep", str(kept))
    assert done.code == 0, done.err
    steps = json.loads(done.out)["steps"]
    assert all(set(s) == {"title", "explanation", "commands", "result"} for s in steps)
    assert kept.is_dir()


def test_demo_ends_with_an_error_at_a_mismatch(
    in_process: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(_workspace: object) -> list[Step]:
        raise DemoMismatch("two keys differ")

    monkeypatch.setattr("fidokit.guide.demo.tour", wrong)
    assert in_process("demo") == 1
    assert "two keys differ" in capsys.readouterr().err
