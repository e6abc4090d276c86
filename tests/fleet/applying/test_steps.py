"""Steps of one host, by programs in the place of the far side."""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.hosts.programs import ssh, traveling

from fidokit.fleet.applying.steps import (
    FileMembers,
    StepsRequest,
    StepsResult,
    carry_out_steps,
    steps_of,
    take_back_files,
)
from fidokit.fleet.hosts.destinations import FleetHost
from fidokit.fleet.planning.actions import ActionKind, HostPlan, PlanAction
from fidokit.server.host_steps import HostStep, StepKind

HOST = FleetHost("web1", "web1")
FILE = {"path": "/f", "account": "ana", "before": "YQ==", "after": "Yg=="}
FAR = """
import json, sys
def main(request):
    asked = json.loads(request)
    def tell(told):
        print("\\n{0} document\\n{1}\\n{0} end".format(asked["nonce"], told))
        sys.stdout.flush()
    tell({first!r})
    word = sys.stdin.readline().strip()
    tell({second!r}.replace("WORD", word))
"""
GOOD = '{"problems": [""], "restored": [], "files": [%s]}'
FILES = GOOD % str(FILE).replace("'", '"')
KEPT, BACK = '{"kept": true, "problems": []}', '{"kept": false, "problems": []}'


def request(folder: Path, first: str, second: str = KEPT, script: str = "") -> StepsRequest:
    program = traveling(FAR.replace("{first!r}", repr(first)).replace("{second!r}", repr(second)))
    return StepsRequest(program, (ssh(folder, script or 'eval "$last"'),), seconds=30)


def carry_out(asked: StepsRequest, proof: str = "") -> tuple[StepsResult, list[FileMembers]]:
    seen: list[FileMembers] = []

    def prove(files: list[FileMembers]) -> str:
        seen.extend(files)
        return proof

    step = HostStep(StepKind.REVOKE, "ana", fingerprint="SHA256:x")
    return carry_out_steps(HOST, [step], asked, prove, threading.Event()), seen


def test_steps_that_are_proved_are_kept(tmp_path: Path) -> None:
    done, seen = carry_out(request(tmp_path, FILES))
    assert (done.problem, done.files, seen) == ("", [FILE], [FILE])


def test_steps_that_are_not_proved_are_taken_back(tmp_path: Path) -> None:
    done, _ = carry_out(request(tmp_path, FILES, BACK), "nobody gets in")
    assert (done.problem, done.restored, done.files) == ("nobody gets in", True, [])


def test_the_word_is_said_by_its_verdict(tmp_path: Path) -> None:
    echo = '{"kept": false, "problems": ["WORD"]}'
    assert "not restored: keep" in carry_out(request(tmp_path, FILES, echo))[0].problem
    assert "not restored: take back" in carry_out(request(tmp_path, FILES, echo), "no")[0].problem


def test_a_step_that_fails_is_named(tmp_path: Path) -> None:
    told = '{"problems": ["", "no such user"], "restored": ["/f was changed since"], "files": []}'
    done, seen = carry_out(request(tmp_path, told))
    assert done.problem == "no such user; not restored: /f was changed since"
    assert (done.restored, seen) == (False, [])


def test_what_is_not_restored_stays_noted(tmp_path: Path) -> None:
    done, _ = carry_out(request(tmp_path, FILES, '{"kept": false, "problems": ["busy"]}'), "no")
    assert (done.files, done.restored) == ([FILE], False)


@pytest.mark.parametrize(
    "told",
    [
        "",
        "{}",
        "[]",
        "nonsense",
        '{"problems": 1}',
        '{"problems": [1]}',
        '{"problems": [], "files": [{}]}',
        '{"problems": [], "files": [{"path": 1, "account": "", "before": "", "after": ""}]}',
        "[" * 100_000,
    ],
)
def test_a_host_that_tells_rubbish_is_not_believed(tmp_path: Path, told: str) -> None:
    done, seen = carry_out(request(tmp_path, told))
    assert "what no host sends" in done.problem
    assert (done.restored, seen) == (False, [])


def test_a_host_that_says_nothing_about_the_end(tmp_path: Path) -> None:
    done, _ = carry_out(request(tmp_path, FILES, "rubbish"))
    assert "not known whether the steps stayed" in done.problem
    assert (done.restored, done.files) == (False, [FILE])


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'web1: Permission denied (publickey).' >&2; exit 255", "Permission denied"),
        ("echo 'sudo: a password is required' >&2; exit 1", "a password is required"),
        ("exec cat /dev/zero", "65,536 bytes"),
    ],
)
def test_a_host_that_cannot_be_used(tmp_path: Path, script: str, said: str) -> None:
    done, seen = carry_out(request(tmp_path, FILES, script=script))
    assert said in done.problem
    assert seen == []


def test_taking_back(tmp_path: Path) -> None:
    asked = request(tmp_path, '{"problems": []}')
    assert take_back_files(HOST, [FILE], asked, threading.Event()) == StepsResult()
    asked = request(tmp_path, '{"problems": ["/f was changed since"]}')
    done = take_back_files(HOST, [FILE], asked, threading.Event())
    assert (done.problem, done.restored) == ("not restored: /f was changed since", False)
    asked = request(tmp_path, "rubbish")
    assert not take_back_files(HOST, [FILE], asked, threading.Event()).restored


def test_the_steps_of_a_plan() -> None:
    remark: dict[str, Any] = {"why": "who knows"}
    plan = HostPlan(
        "web1",
        (
            PlanAction(ActionKind.AUTHORIZE, "", "ana", "F", "ana", "T B", date(2027, 1, 2)),
            PlanAction(ActionKind.REVOKE, "", "ana", "G", path="/f", line=3),
            PlanAction(ActionKind.REVOKE, "", "ana", "G", path="/f", line=4),
            PlanAction(ActionKind.HARDEN, "", levels="verify"),
            PlanAction(ActionKind.CONFLICT, **remark),
            PlanAction(ActionKind.DOUBT, **remark),
        ),
    )
    assert steps_of(plan) == [
        HostStep(StepKind.AUTHORIZE, "ana", "T B", "F", "20270102"),
        HostStep(StepKind.REVOKE, "ana", "", "G"),
        HostStep(StepKind.HARDEN, levels="verify"),
    ]
