"""A fleet's report as JSON (docs/json.md): a host a line, and a key a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from fidokit.fleet.report.drift import FleetDrift, LoginChange
from fidokit.fleet.report.host_lines import END, HEAD, HOSTS, host_line
from fidokit.fleet.report.joined import BackupGap, FleetReport, KeyUse


def fleet_document(report: FleetReport) -> Iterator[str]:
    """The document in pieces."""
    yield HEAD
    yield from _array(HOSTS, map(host_line, report.rows))
    yield from _array(',\n "keys": [', (json.dumps(_key(key)) for key in report.keys))
    gaps = (json.dumps(_gap(gap)) for gap in report.gaps)
    yield from _array(',\n "people_without_backup": [', gaps)
    yield f',\n "drift": {json.dumps(_drift(report.drift))}'
    yield f',\n "summary": {json.dumps(_summary(report))}'
    yield "}}\n"


def _array(head: str, lines: Iterable[str]) -> Iterator[str]:
    yield head
    before = "\n  "
    for line in lines:
        yield before + line
        before = ",\n  "
    yield END


def _key(key: KeyUse) -> dict[str, object]:
    return {
        "fingerprint": key.fingerprint,
        "type": key.type,
        "comment": key.comment,
        "way": str(key.way),
        "owner": key.owner or None,
        "token": key.token or None,
        "backup": key.backup,
        "known": key.known,
        "hosts": key.hosts,
        "places": key.places,
        "accounts": key.accounts,
        "example": key.example,
    }


def _gap(gap: BackupGap) -> dict[str, object]:
    return {"person": gap.person, "places": gap.places, "open": gap.open, "example": gap.example}


def _drift(drift: FleetDrift) -> dict[str, object]:
    return {
        "since": drift.since or None,
        "compared": drift.compared,
        "first_seen": list(drift.first_seen),
        "changes": list(map(_change, drift.changes)),
    }


def _change(change: LoginChange) -> dict[str, object]:
    return {
        "host": change.host,
        "account": change.account,
        "way": change.way,
        "fingerprint": change.fingerprint,
        "comment": change.comment,
        "change": "appeared" if change.appeared else "gone",
    }


def _summary(report: FleetReport) -> dict[str, object]:
    return {
        "hosts": len(report.rows),
        "states": {str(state): number for state, number in sorted(report.states.items())},
        "ways": {
            str(way): {"hosts": one.hosts, "accounts": one.accounts, "keys": one.keys}
            for way, one in report.ways.items()
        },
        "unknown_keys": len(report.unknown_keys),
        "one_token_alone": report.lonely,
        "require": list(report.rules),
        "by_policy": report.by_policy,
        "holds": report.holds if report.stated else None,
    }
