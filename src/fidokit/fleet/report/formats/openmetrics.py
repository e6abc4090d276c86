"""A fleet's report as OpenMetrics text: numbers, and the state of each host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from fidokit.fleet.hosts.audit import HostState
from fidokit.fleet.report.conclusions import conclusions
from fidokit.fleet.report.joined import FleetReport
from fidokit.server.check.formats.openmetrics import family


def fleet_openmetrics(report: FleetReport) -> Iterator[str]:
    """The exposition, a line each."""
    yield from family(
        "fidokit_fleet_hosts",
        "Hosts by what became of their check.",
        [({"state": str(state)}, report.states.get(state, 0)) for state in HostState],
    )
    yield from family(
        "fidokit_fleet_host_checked",
        "1 if a host was checked, else 0.",
        [({"host": row.host}, int(row.checked)) for row in report.rows],
    )
    yield from family(
        "fidokit_fleet_accounts",
        "Accounts of hosts that can be entered, by what; unknown is what cannot be known.",
        [({"by": str(way)}, count.accounts) for way, count in report.ways.items()],
    )
    known = Counter((str(key.way), _known(key.known)) for key in report.keys)
    yield from family(
        "fidokit_fleet_keys",
        "Keys and authorities that get in; known is whether the policy knows them.",
        [({"by": way, "known": word}, number) for (way, word), number in sorted(known.items())],
    )
    yield from family(
        "fidokit_fleet_people_without_backup",
        "People whom a lost token would lock out somewhere, by the policy.",
        [({}, len(report.gaps))],
    )
    yield from family(
        "fidokit_fleet_changes",
        "Ways in that appeared or are gone since the last check.",
        [
            ({"change": word}, sum(one.appeared is new for one in report.drift.changes))
            for word, new in (("appeared", True), ("gone", False))
        ],
    )
    found = Counter((f.kind.id, str(f.severity), f.doubt) for f in conclusions(report))
    yield from family(
        "fidokit_fleet_findings",
        "Findings by id; with doubt, what cannot be known.",
        [
            ({"id": kind, "severity": severity, "doubt": str(doubt).lower()}, number)
            for (kind, severity, doubt), number in sorted(found.items())
        ],
    )
    if report.stated:
        yield from family(
            "fidokit_fleet_holds",
            "1 if all that was demanded holds on every host, else 0.",
            [({}, int(report.holds))],
        )
    yield "# EOF\n"


def _known(known: bool | None) -> str:
    return {True: "yes", False: "no", None: "no-policy"}[known]
