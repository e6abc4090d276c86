"""`fleet init` and `fleet plan` of hosts that are checked now; a program stands in for ssh."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.cli.commands.fleet.test_fleet_check import Fleet
from tests.fleet.planning.audits import account, document, finding, key_line
from tests.fleet.report.fleets import ANA, BOB
from tests.support.sandbox import Done, Sandbox

from fidokit.server.check.policy import CheckRule

RULES = list(map(str, CheckRule))


class PlannedFleet(Fleet):
    """Hosts that are files, for the verbs of a policy."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        for host in ("web1", "web2"):
            self.has(host, self.report())

    @staticmethod
    def report(*more: dict[str, Any], require: list[str] | None = None) -> dict[str, Any]:
        """A host that lets ana in as root, and on which no password gets in."""
        found = [finding("not certified", "hardware-or-certified", "verify", user="root")]
        root = account("root", [key_line(ANA, comment="ana@laptop"), *more])
        require = RULES if require is None else require
        return document([root], require=require, findings=found if require == RULES else [])

    def run(self, verb: str, *words: str) -> Done:
        """Run a verb."""
        return self.sandbox.run("fleet", verb, "--ssh", self.program, *words)

    def plan(self, *words: str, code: int) -> Any:
        """The JSON of a plan."""
        done = self.run("plan", "--json", *words)
        assert done.code == code, done.err
        return json.loads(done.out)["plan"]


@pytest.fixture
def fleet(sandbox: Sandbox) -> PlannedFleet:
    return PlannedFleet(sandbox)


HOLDING = ["hardware", "no-password"]


def test_hosts_become_a_policy_that_plans_to_nothing(fleet: PlannedFleet) -> None:
    done = fleet.run("init", "web1", "web2", "web3")
    assert done.code == 0, done.err
    assert "left out web3: " in done.out
    text = (fleet.sandbox.home / "policy.toml").read_text()
    assert 'require = ["hardware", "no-password"]' in text
    for host in ("web1", "web2"):
        fleet.has(host, fleet.report(require=HOLDING))
    assert fleet.plan(code=0)["checked"] == 2, "the policy names the hosts"
    fleet.has("web2", fleet.report(key_line(BOB), require=HOLDING))
    (differing,) = fleet.plan(code=10)["hosts"]
    assert (differing["host"], differing["actions"][0]["key"]) == ("web2", BOB)


def test_hosts_and_saved_audits_together(fleet: PlannedFleet) -> None:
    (fleet.sandbox.home / "web9.json").write_text(json.dumps(fleet.report()))
    done = fleet.run("init", "web1", "--from-audit", "web9.json")
    assert "2 hosts" in done.out, done.err
    fleet.has("web1", fleet.report(require=HOLDING))
    plan = fleet.plan("web1", "--from-audit", "web9.json", code=0)
    assert plan["checked"] == 2


def test_a_host_that_is_down_is_in_doubt(fleet: PlannedFleet) -> None:
    assert fleet.run("init", "web1").code == 0
    fleet.has("web1", fleet.report(require=HOLDING))
    (fleet.docs / "web1").unlink()
    (row,) = fleet.plan(code=10)["hosts"]
    assert row["actions"][0]["kind"] == "doubt"
    assert "cannot be reached" in row["actions"][0]["why"]


def test_a_host_that_lies_about_its_rules_is_in_doubt(fleet: PlannedFleet) -> None:
    assert fleet.run("init", "web1").code == 0
    fleet.has("web1", fleet.report(require=["hardware"]))
    (row,) = fleet.plan(code=10)["hosts"]
    assert [action["kind"] for action in row["actions"]] == ["doubt"]


@pytest.mark.parametrize("verb", ["init", "plan"])
def test_without_a_host_or_an_audit(fleet: PlannedFleet, verb: str) -> None:
    (fleet.sandbox.home / "policy.toml").write_text("")
    done = fleet.run(verb, *(["--force"] if verb == "init" else []))
    assert done.code == 2
    assert "no host is named" in done.err
    assert "--from-audit FILE" in done.err
    assert (fleet.sandbox.home / "policy.toml").read_text() == ""
