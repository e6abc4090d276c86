"""`fidokit doctor`, `demo` and `completion`."""

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
        "note     no agent [FK521]",
        "         start one",
        "PROBLEM  no access to \\x1b[2J [FK501]",
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
    assert all(set(f) == {"id", "check", "status", "sentence", "hint"} for f in findings)
    assert all(f["hint"] for f in findings if f["status"] == "fail")


def test_udev_rules_can_be_piped(sandbox: Sandbox) -> None:
    done = sandbox.run("doctor", "--udev")
    assert done.code == 0
    assert "hidraw" in done.out
    document = json.loads(sandbox.run("doctor", "--udev", "--json").out)
    assert document["udev"]["rules"].strip() == done.out.strip()
    assert document["udev"]["path"].startswith("/")


def test_demo_runs_the_commands_that_it_shows(sandbox: Sandbox) -> None:
    done = sandbox.run("demo", "--json", "--keep", "kept", FIDOKIT_TOKEN="virtual:none")
    assert done.code == 0, done.err
    steps = json.loads(done.out)["steps"]
    assert all(set(s) == {"title", "explanation", "commands", "result"} for s in steps)
    printed = {step["title"]: "\n".join(step["result"]) for step in steps}
    assert "The PIN of fidokit virtual token (virtual:demo) is set." in printed["Set a PIN"]
    assert "2 keys; --long shows details." in printed["List the keys"]
    assert printed["Sign a challenge with each"].count("Good 'file' signature with") == 2
    assert max(len(line) for line in printed["List the keys"].splitlines()) <= 76
    assert (sandbox.home / "kept" / "desk" / "id_ed25519_sk_rk_work_demo").exists()
    again = sandbox.run("demo", "--keep", "kept")
    assert again.code == 9
    assert "kept is not empty" in again.err


def test_demo_waits_for_enter_on_a_terminal(sandbox: Sandbox) -> None:
    answers = [("Enter goes on", "\n"), ("Enter goes on", "\x03")]
    done = sandbox.talk("demo", answers=answers)
    assert done.code == 130
    assert "2. Set a PIN" in done.out
    assert "3. Create" not in done.out


def test_demo_ends_with_an_error_at_a_mismatch(
    in_process: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def wrong(_place: object) -> list[Step]:
        raise DemoMismatch("two keys differ")

    monkeypatch.setattr("fidokit.guide.demo.tour", wrong)
    assert in_process("demo") == 1
    assert "two keys differ" in capsys.readouterr().err


# --- completion --------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_names_the_command(sandbox: Sandbox, shell: str) -> None:
    done = sandbox.run("completion", shell)
    assert done.code == 0
    assert f"_FIDOKIT_COMPLETE={shell}" in done.out
    assert "\\n" not in done.out
    document = json.loads(sandbox.run("completion", shell, "--json").out)
    assert document["script"].strip() == done.out.strip()


def test_unknown_shell_is_refused(sandbox: Sandbox) -> None:
    assert sandbox.run("completion", "tcsh").code == 2
    done = sandbox.run("completion", "--install", SHELL="/bin/tcsh")
    assert done.code == 2
    assert "name the shell: bash, zsh or fish" in done.err


def test_completion_is_installed_for_the_login_shell_and_removed(sandbox: Sandbox) -> None:
    done = sandbox.run("completion", "--install", SHELL="/usr/bin/zsh")
    assert done.code == 0, done.err
    script = sandbox.home / ".local/share/zsh/site-functions/_fidokit"
    assert done.out.splitlines() == [
        "Installed for zsh: ~/.local/share/zsh/site-functions/_fidokit",
        "Loaded by: ~/.zshrc",
        "New shells have it. For this shell: source ~/.local/share/zsh/site-functions/_fidokit",
    ]
    assert script.exists()
    again = json.loads(sandbox.run("completion", "zsh", "--install", "--json").out)
    assert again["install"] == {
        "script": str(script), "startup": str(sandbox.home / ".zshrc"), "changed": False
    }  # fmt: skip
    assert sandbox.run("completion", "zsh", "--remove").out == "Removed.\n"
    assert sandbox.run("completion", "zsh", "--remove").out == "Nothing to remove.\n"
