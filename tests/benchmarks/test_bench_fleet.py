"""The benchmark of a fleet's plan measures a plan that is right, and finds all that differs."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from benchmarks.fleet_sample import KEYS_EACH, SITES, host_name, write_audits, write_policy
from benchmarks.place import place

from benchmarks import bench_fleet
from fidokit.fleet.planning.actions import ActionKind
from fidokit.fleet.planning.fleet_plan import plan_fleet
from fidokit.fleet.planning.saved_audits import SavedAudits
from fidokit.fleet.policy.reading import read_policy

HOSTS = 400


def test_the_plan_of_the_sample_is_right(tmp_path: Path) -> None:
    folder = tmp_path / "audits"
    folder.mkdir()
    keys = write_policy(tmp_path / "policy.toml", HOSTS)
    differing = write_audits(folder, HOSTS)
    policy = read_policy(tmp_path / "policy.toml")
    assert sum(len(person.keys) for person in policy.people.values()) == keys
    plan = plan_fleet(policy, SavedAudits.of([str(folder)]), today=date(2026, 12, 1))
    assert len(plan.hosts) == HOSTS
    assert len(plan.differing) == differing == HOSTS // 10
    each = differing // 4
    assert plan.counts() == {
        ActionKind.AUTHORIZE: each,
        ActionKind.REVOKE: each,
        ActionKind.HARDEN: each,
        ActionKind.DOUBT: each,
    }
    names = [one.host for one in plan.differing]
    assert names == sorted(host_name(number) for number in range(0, HOSTS, 10))
    assert not plan.refused


def test_it_measures_time_and_memory() -> None:
    with place() as here:
        results = list(bench_fleet.run(here, rounds=1, hosts=20))
    assert [result.unit for result in results] == ["s", "MB"]
    assert results[0].name == f"fleet plan of 20 hosts and {SITES * 2 * KEYS_EACH:,} keys"
    assert all(result.ours > 0 for result in results)


def test_an_audit_has_the_form_of_a_document(tmp_path: Path) -> None:
    write_audits(tmp_path, 1)
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text())["schema"] == 1
