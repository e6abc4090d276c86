"""All hosts joined."""

from __future__ import annotations

import pytest
from tests.fleet.planning.audits import account, audited, finding, key_line
from tests.fleet.policy.policies import policy
from tests.fleet.report.fleets import ANA, AUTHORITY, BOB, HERS, SPARE, report

from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.report.joined import BackupGap, FleetReport, WayCount
from fidokit.fleet.report.rows import EntryWay

POLICY = policy(
    f"""
schema = 1
[people.ana.tokens.blue]
keys = ["{ANA}"]
[people.ana.tokens.red]
backup-of = "blue"
keys = ["{SPARE}"]
[people.bob]
keys = ["{BOB}"]
[[hosts]]
match = ["web*"]
let-in = {{ root = ["ana"], bob = ["bob"] }}
[[hosts]]
match = ["db*"]
let-in = {{ root = ["ana"] }}
authorities = ["{AUTHORITY}"]
"""
)


def names(found: FleetReport) -> dict[str, tuple[str, str, bool | None]]:
    return {key.fingerprint: (key.owner, key.token, key.known) for key in found.keys}


def test_without_a_policy() -> None:
    found = report()
    assert [row.host for row in found.rows] == ["db1", "down1", "evil1", "web1", "web2"]
    assert (found.checked, found.states[HostState.DOWN]) == (3, 1)
    assert found.ways[EntryWay.TOKEN] == WayCount(hosts=2, accounts=2, keys=2)
    assert found.ways[EntryWay.FILE] == WayCount(hosts=3, accounts=3, keys=2)
    assert found.ways[EntryWay.PASSWORD] == WayCount()
    assert found.lonely == 1
    assert (found.gaps, found.unknown_keys, found.stated) == ([], [], False)
    first = found.keys[0]
    assert {first.fingerprint, found.keys[1].fingerprint} == {ANA, BOB}
    assert (first.hosts, first.places) == (2, 2)


def test_whose_keys_they_are() -> None:
    found = report(policy=POLICY)
    assert names(found) == {
        ANA: ("ana", "blue", True),
        SPARE: ("ana", "red", True),
        BOB: ("bob", "", True),
        AUTHORITY: ("", "", True),
        HERS: ("", "", False),
    }
    assert [key.fingerprint for key in found.unknown_keys] == [HERS]
    assert found.gaps == [BackupGap("ana", 2, 1, "root@web2")]


def test_a_key_that_rules_name_for_one_host_is_unknown_on_others() -> None:
    break_glass = policy(f'schema = 1\n[[hosts]]\nmatch = ["web*"]\nbreak-glass = ["root:{ANA}"]\n')
    line = key_line(ANA)
    on_web = audited("web1", account("root", [line]), require=[f"break-glass=root:{ANA}"])
    assert report([on_web], break_glass).unknown_keys == []
    other = audited("web1", account("bob", [line]))
    assert len(report([other], break_glass).unknown_keys) == 1
    elsewhere = audited("db1", account("root", [line]))
    (key,) = report([on_web, elsewhere], break_glass).unknown_keys
    assert key.example == "db1"


def test_the_name_of_a_user_does_not_hide_a_host_from_the_policy() -> None:
    root = account("root", [key_line(AUTHORITY, authority=True)])
    found = report([audited("ssh://root@db1:22", root)], POLICY)
    assert found.unknown_keys == []


@pytest.mark.parametrize("state", [state for state in HostState if state is not HostState.CHECKED])
def test_a_host_that_is_not_known_counts_against_everything(state: HostState) -> None:
    good = audited("web1", account("root", [key_line(ANA)]), require=["hardware"])
    assert report([good], rules=["hardware"]).holds
    assert not report([good, HostAudit("web2", state)], rules=["hardware"]).holds


def test_what_breaks() -> None:
    bad = audited("web1", findings=[finding("no", "hardware")], require=["hardware"])
    assert not report([bad], rules=["hardware"]).holds
    strange = audited("web1", account("root", [key_line(HERS)]))
    assert report([strange]).holds
    assert not report([strange], POLICY).holds
