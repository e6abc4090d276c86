"""`fidokit fleet init` and `fleet plan`: what is written and shown, and the exit status."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.planning.audits import account, document, finding, key_line
from tests.fleet.policy.policies import print_of
from tests.support.sandbox import Sandbox

Run = Callable[..., int]
Capture = pytest.CaptureFixture[str]
A, B = print_of("a"), print_of("b")


@pytest.fixture
def fleet(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two audits, which is where commands run."""
    (sandbox.home / "audits").mkdir()
    monkeypatch.chdir(sandbox.home)
    save(sandbox.home, "web1", [account("root", [key_line(A, comment="alice@x")])])
    save(sandbox.home, "web2", [account("root", [key_line(A, comment="alice@x")])])
    return sandbox.home


def save(home: Path, host: str, users: Sequence[dict[str, Any]], **parts: Any) -> None:
    (home / "audits" / f"{host}.json").write_text(json.dumps(document(users, **parts)))


def test_a_first_policy_and_no_difference(fleet: Path, in_process: Run, capsys: Capture) -> None:
    assert in_process("fleet", "init", "--from-audit", "audits") == 0
    assert "policy.toml: 1 key of 1 owner, 2 hosts" in capsys.readouterr().out
    assert "[people.alice]" in (fleet / "policy.toml").read_text()
    assert in_process("fleet", "plan", "--from-audit", "audits") == 0
    assert capsys.readouterr().out == "2 hosts: as the policy states\n"


def test_a_policy_is_not_overwritten(fleet: Path, in_process: Run, capsys: Capture) -> None:
    (fleet / "policy.toml").write_text("# mine\n")
    assert in_process("fleet", "init", "--from-audit", "audits") == 9
    assert (fleet / "policy.toml").read_text() == "# mine\n"
    assert "--force" in capsys.readouterr().err
    assert in_process("fleet", "init", "--from-audit", "audits", "--force") == 0
    assert in_process("fleet", "init", "--from-audit", "audits", "-o", "other.toml") == 0


def test_hosts_that_are_left_out_are_named(fleet: Path, in_process: Run, capsys: Capture) -> None:
    (fleet / "audits" / "web2.json").write_text("{")
    found = [finding("not seen\x1b[2J", doubt=True)]
    save(fleet, "web1", [account("root", [key_line(A)])], findings=found)
    assert in_process("fleet", "init", "--from-audit", "audits", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["hosts"], data["doubts"]) == (1, 1)
    assert data["left_out"][0]["host"] == "web2"
    assert in_process("fleet", "init", "--from-audit", "audits", "--force") == 0
    said = capsys.readouterr().out
    assert "left out web2: " in said
    assert "1 doubt of the audits left: `fidokit fleet plan` names it" in said
    assert in_process("fleet", "plan", "--from-audit", "audits/web1.json") == 10
    said = capsys.readouterr().out
    assert "not seen\\x1b[2J" in said
    assert "\x1b" not in said


def test_what_differs(fleet: Path, in_process: Run, capsys: Capture) -> None:
    assert in_process("fleet", "init", "--from-audit", "audits") == 0
    save(fleet, "web1", [account("root", [key_line(A), key_line(B)])])
    (fleet / "audits" / "web2.json").unlink()
    capsys.readouterr()
    assert in_process("fleet", "plan", "--from-audit", "audits") == 10
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [
        "2 hosts: 0 as the policy states, 2 not",
        "  1 to revoke, 1 in doubt",
    ]
    assert f"  {B[:19]} from root: nobody in the policy has this key" in said
    assert "    find out: give an audit of it, or name it to have it checked now" in said
    assert in_process("fleet", "plan", "--from-audit", "audits", "--long") == 10
    assert f"  revoke {B} from root: " in capsys.readouterr().out
    assert in_process("fleet", "plan", "--from-audit", "audits", "--json") == 10
    plan = json.loads(capsys.readouterr().out)["plan"]
    assert (plan["holds"], plan["checked"]) == (False, 2)
    assert plan["counts"]["revoke"] == 1
    assert [host["host"] for host in plan["hosts"]] == ["web1", "web2"]
    assert plan["hosts"][0]["actions"][0]["key"] == B


def test_the_same_step_on_many_hosts_is_one(fleet: Path, in_process: Run, capsys: Capture) -> None:
    for number in range(30):
        save(fleet, f"web{number}", [account("root", [key_line(A, comment="alice@x")])])
    assert in_process("fleet", "init", "--from-audit", "audits") == 0
    for number in range(30):
        save(fleet, f"web{number}", [account("root", [key_line(A), key_line(B)])])
    capsys.readouterr()
    assert in_process("fleet", "plan", "--from-audit", "audits") == 10
    said = capsys.readouterr().out
    assert len(said.splitlines()) < 8
    assert "on 30 hosts: web0, web1, web10, web11, web12 and 25 more" in said


def test_a_refused_plan_is_said(fleet: Path, in_process: Run, capsys: Capture) -> None:
    (fleet / "policy.toml").write_text(
        '[people.x]\nkeys = []\n[[hosts]]\nmatch = ["*"]\nexclusive = true\n'
        'let-in = { root = ["x"] }\n'
    )
    assert in_process("fleet", "plan", "--from-audit", "audits") == 10
    said = capsys.readouterr().out
    assert "Refused\n  nobody would be known to get in afterwards\n    on 2 hosts" in said
    assert in_process("fleet", "plan", "--from-audit", "audits", "--long") == 10
    assert "  refused: nobody" in capsys.readouterr().out


def test_a_wrong_policy_ends_it(fleet: Path, in_process: Run, capsys: Capture) -> None:
    (fleet / "policy.toml").write_text("x = 1\ny = 2\n")
    assert in_process("fleet", "plan", "--from-audit", "audits") == 4
    said = capsys.readouterr().err
    assert "fidokit: policy.toml:1: there is no setting 'x'" in said
    assert "policy.toml:2: there is no setting 'y'" in said


def test_without_an_audit_nothing_is_planned(fleet: Path, in_process: Run, capsys: Capture) -> None:
    (fleet / "policy.toml").write_text("")
    assert in_process("fleet", "plan") == 2
    assert "--from-audit" in capsys.readouterr().err
    assert in_process("fleet", "init", "--force") == 2
    assert (fleet / "policy.toml").read_text() == ""


def test_it_fits_a_terminal(fleet: Path, sandbox: Sandbox) -> None:
    keys = [key_line(A, comment="alice@x"), key_line(B)]
    assert sandbox.run("fleet", "init", "--from-audit", "audits").code == 0
    found = [finding("a long reason " * 12, doubt=True, steps=["look at it " * 12])]
    save(fleet, "web1", [account("root", keys)], findings=found)
    done = sandbox.talk("fleet", "plan", "--from-audit", "audits")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", done.out.replace("\r", ""))
    assert "a long reason" in shown
    assert max(map(len, shown.splitlines())) <= 100, "as wide as this terminal"
