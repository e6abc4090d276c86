"""The order of a rollout, by programs in the place of ssh: a canary, a stop, an end, an undo."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.fleet.hosts.programs import sending, traveling
from tests.fleet.planning.audits import account, document, finding, key_line
from tests.fleet.policy.policies import print_of

from fidokit.errors import FidokitError
from fidokit.fleet.applying.journal import Journal
from fidokit.fleet.applying.rollout import Rollout, RolloutRow, RolloutState
from fidokit.fleet.applying.steps import StepsRequest
from fidokit.fleet.hosts.conversation import AuditRequest
from fidokit.fleet.hosts.destinations import FleetHost
from fidokit.fleet.planning.host_plan import HostPlanner
from fidokit.fleet.policy.proofs import KeyProofs
from fidokit.fleet.policy.reading import parse_policy

ANA, OLD = print_of(1), print_of(2)
POLICY = f"""schema = 1
[people.ana]
keys = ["{ANA}"]
[[hosts]]
match = ["web*"]
let-in = {{ ana = ["ana"] }}
exclusive = true
"""
BEFORE = document([account("ana", [key_line(ANA), key_line(OLD)])])
AFTER = document([account("ana", [key_line(ANA)])])
SSH = """#!/bin/sh
for word; do case $word in ControlPath=none) anew=1;; web*) host=$word;; esac; done
for last; do :; done
echo "$host" >>{folder}/reached
[ -e {folder}/$host.down ] && {{ echo "no route to $host" >&2; exit 255; }}
[ -n "$anew" ] && [ -e {folder}/$host.out ] && {{ echo "Permission denied" >&2; exit 255; }}
export FAKE=$host
eval "$last"
"""
AUDIT = """
import json, os, sys
from pathlib import Path
def main(request):
    asked = json.loads(request)
    folder = Path({folder!r})
    changed = (folder / (os.environ["FAKE"] + ".changed")).exists()
    good = changed and not (folder / (os.environ["FAKE"] + ".odd")).exists()
    told = {after!r} if good else {before!r}
    print("\\n{{0}} document\\n{{1}}\\n{{0}} end".format(asked["nonce"], told))
    sys.stdout.flush()
"""
STEPS = """
import json, os, sys
from pathlib import Path
def main(request):
    asked = json.loads(request)
    mark = Path({folder!r}) / (os.environ["FAKE"] + ".changed")
    def tell(told):
        told = json.dumps(told)
        print("\\n{{0}} document\\n{{1}}\\n{{0}} end".format(asked["nonce"], told))
        sys.stdout.flush()
    if "files" in asked:
        mark.unlink()
        tell({{"problems": []}})
        return
    mark.touch()
    file = {{"path": str(mark), "account": "", "before": None, "after": ""}}
    tell({{"problems": [""], "restored": [], "files": [file]}})
    kept = sys.stdin.readline() == "keep\\n"
    if not kept:
        mark.unlink()
    tell({{"kept": kept, "problems": []}})
"""


class Bench:
    """Hosts that are files in a folder: `NAME.changed` is one whose steps are done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ssh = folder / "ssh"
        self.ssh.write_text(SSH.format(folder=shlex.quote(str(folder))))
        self.ssh.chmod(0o755)
        self.journal = Journal(folder / "journal")

    def rollout(self, names: Sequence[str], policy: str = POLICY, **options: Any) -> Rollout:
        parts = {"folder": str(self.folder), "after": json.dumps(AFTER)}
        audit = AUDIT.format(before=json.dumps(options.pop("before", BEFORE)), **parts)
        ssh = (str(self.ssh),)
        return Rollout(
            [FleetHost(name, name) for name in names],
            HostPlanner(parse_policy(policy.encode(), "p"), KeyProofs(), date(2026, 1, 1)),
            AuditRequest(traveling(audit), ssh, seconds=30),
            StepsRequest(traveling(STEPS.format(folder=str(self.folder))), ssh, seconds=30),
            self.journal,
            parallel=2,
            **options,
        )

    def run(self, names: Sequence[str], **options: Any) -> dict[str, RolloutRow]:
        return {row.host: row for row in self.rollout(names, **options).run()}

    @property
    def changed(self) -> set[str]:
        return {path.stem for path in self.folder.glob("*.changed")}

    @property
    def reached(self) -> list[str]:
        return list(dict.fromkeys((self.folder / "reached").read_text().split()))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def states(rows: dict[str, RolloutRow]) -> dict[str, str]:
    return {name: str(row.state) for name, row in rows.items()}


NAMES = ("web1", "web2", "web3")


def test_all_hosts_are_done_the_canary_first(bench: Bench) -> None:
    rows = bench.run(NAMES)
    assert states(rows) == dict.fromkeys(NAMES, "done")
    assert bench.reached[0] == next(iter(rows)) == "web1"
    assert bench.changed == set(NAMES)
    assert states(bench.run(NAMES)) == dict.fromkeys(NAMES, "nothing")


def test_a_dry_run_changes_nothing(bench: Bench) -> None:
    assert states(bench.run(NAMES, dry_run=True)) == dict.fromkeys(NAMES, "planned")
    assert bench.changed == set()


@pytest.mark.parametrize("fault", ["odd", "out", "down"])
def test_no_host_is_touched_after_a_canary_that_is_not_proved(bench: Bench, fault: str) -> None:
    (bench.folder / f"web1.{fault}").touch()
    rows = bench.run(NAMES)
    assert states(rows)["web1"] == ("unknown" if fault == "down" else "failed")
    assert states(rows)["web2"] == states(rows)["web3"] == "not-tried"
    assert bench.changed == set()
    assert bench.journal.last_changed() is None
    said = {"odd": "still differs", "out": "a new login did not work", "down": "no route"}
    assert said[fault] in rows["web1"].problem


def test_no_host_is_begun_after_one_that_failed(bench: Bench) -> None:
    names = [f"web{number}" for number in range(1, 9)]
    (bench.folder / "web3.odd").touch()
    rows = bench.run(names)
    assert states(rows)["web3"] == "failed"
    assert states(rows)["web8"] == "not-tried"
    assert "web3" not in bench.changed


def test_a_host_that_is_down_ends_no_rollout_and_is_done_later(bench: Bench) -> None:
    (bench.folder / "web2.down").touch()
    rows = bench.run(NAMES)
    assert states(rows) == {"web1": "done", "web2": "unknown", "web3": "done"}
    (bench.folder / "web2.down").unlink()
    assert states(bench.run(NAMES))["web2"] == "done"
    run = bench.journal.last_changed()
    assert run is not None
    assert set(run.hosts) == set(NAMES)  # it was one run


def test_a_run_is_taken_back(bench: Bench) -> None:
    bench.run(NAMES)
    run = bench.journal.last_changed()
    assert run is not None
    undone = {row.host: row for row in bench.rollout([]).undo(run, ["web2"])}
    assert states(undone) == {"web2": "undone"}
    assert bench.changed == {"web1", "web3"}
    (bench.folder / "web3.down").touch()
    undone = {row.host: row for row in bench.rollout([]).undo(run)}
    assert states(undone) == {"web3": "failed", "web1": "undone"}
    assert set(Journal(bench.folder / "journal").last_changed().hosts) == {"web3"}  # type: ignore[union-attr]


def test_a_key_of_which_the_fingerprint_alone_is_known_is_not_added(bench: Bench) -> None:
    rows = bench.run(["web1"], before=document([account("ana", [key_line(OLD)])]))
    assert rows["web1"].state is RolloutState.REFUSED
    assert bench.changed == set()


def test_nothing_is_taken_out_while_the_break_glass_key_does_not_get_in(bench: Bench) -> None:
    rule = f"break-glass=ana:{ANA}"
    policy = POLICY + f'break-glass = ["ana:{ANA}"]\n'
    users = [account("ana", [key_line(ANA), key_line(OLD)])]
    broken = document(users, require=[rule], findings=[finding("it is refused", rule)])
    rows = bench.run(["web1"], policy=policy, before=broken)
    assert rows["web1"].state is RolloutState.REFUSED
    assert "the break-glass key does not get in" in rows["web1"].problem
    assert bench.changed == set()


def test_without_a_journal_no_further_host_is_touched(bench: Bench) -> None:
    (bench.folder / "journal").mkdir()
    with pytest.raises(FidokitError):
        bench.run(NAMES)
    assert bench.changed <= {"web1"}


def test_a_defect_is_a_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("fidokit.fleet.applying.rollout.steps_of", fail)
    rows = bench.run(NAMES)
    assert "ZeroDivisionError" in rows["web1"].problem
    assert states(rows)["web2"] == "not-tried"


def test_a_program_that_sends_an_audit_is_no_program_of_steps(bench: Bench) -> None:
    rollout = bench.rollout(["web1"])
    rollout.steps = StepsRequest(sending(AFTER), rollout.steps.ssh, seconds=30)
    (row,) = rollout.run()
    assert row.state is RolloutState.FAILED
    assert "what no host sends" in row.problem
