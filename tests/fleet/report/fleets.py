"""Fleets that nobody has, as rows and as reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tests.fleet.planning.audits import account, audited, finding, key_line
from tests.fleet.policy.policies import print_of

from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.policy.values import FleetPolicy
from fidokit.fleet.report.drift import drift
from fidokit.fleet.report.joined import FleetReport, join
from fidokit.fleet.report.rows import HostRow, RowMaker

NOW = 1_800_000_000.0
HOSTILE = "\x1b[2J<script>alert(1)</script>\u202e&\"'"
ANA, SPARE, BOB, AUTHORITY, HERS = map(print_of, ("ana", "spare", "bob", "authority", "mallory"))


def small_fleet() -> list[HostAudit]:
    """Five hosts: two alike, one with a strange key and hostile text, two that are not known."""
    ana, spare = key_line(ANA, comment="ana@laptop"), key_line(SPARE, comment="ana's spare")
    bob = key_line(BOB, hardware=False, comment="bob")
    mallory = key_line(HERS, hardware=False, comment=HOSTILE)
    authority = key_line(AUTHORITY, authority=True)
    return [
        audited("web2", account("root", [ana]), account("bob", [bob, bob])),
        audited("web1", account("root", [ana, spare]), account("bob", [bob])),
        audited(
            "db1",
            account("root", [authority]),
            account(HOSTILE, [mallory, key_line(ANA, refused="revoked")]),
            findings=[finding(f"loose {HOSTILE}", user=HOSTILE, path="/etc/ssh/a b", line=7)],
        ),
        HostAudit("down1", HostState.DOWN, problem=f"ssh: {HOSTILE}"),
        HostAudit("evil1", HostState.HOSTILE, problem="it sent more than 10 bytes"),
    ]


def rows(audits: Iterable[HostAudit]) -> list[HostRow]:
    """What a report keeps of them."""
    maker = RowMaker()
    return [maker.row(audit, NOW) for audit in audits]


def report(
    audits: Iterable[HostAudit] | None = None,
    policy: FleetPolicy | None = None,
    before: Mapping[str, str] | None = None,
    rules: Iterable[str] = (),
) -> FleetReport:
    """The report of a fleet."""
    found = rows(small_fleet() if audits is None else audits)
    return join(found, policy, drift(found, before or {}), rules)


def big_fleet(hosts: int, keys_each: int) -> Iterable[HostAudit]:
    """Hosts with keys that no other host has."""
    for number in range(hosts):
        lines = [
            key_line(print_of(f"{number}.{key}"), hardware=key % 3 > 0, comment=f"p{key}@{number}")
            for key in range(keys_each - 1)
        ]
        common = key_line(ANA, comment="ana@laptop")
        yield audited(f"host{number:05}", account("root", [common]), account("deploy", lines))
