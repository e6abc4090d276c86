"""A fleet's report as SARIF 2.1.0, in the shape that `server check` has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote

from fidokit.findings import DOCTOR, KINDS
from fidokit.fleet.hosts.destinations import host_name
from fidokit.fleet.report.conclusions import FleetFinding, conclusions
from fidokit.fleet.report.joined import FleetReport
from fidokit.server.check.formats.sarif import sarif_log
from fidokit.server.check.formats.sentences import DOUBT, visible

_OF_DOCTOR: Final = frozenset(kind.id for kind in DOCTOR.values())


def fleet_sarif(report: FleetReport) -> Iterator[str]:
    """The document in pieces, a result a line."""
    described = sorted(
        (kind for kind in KINDS.values() if kind.id not in _OF_DOCTOR), key=lambda kind: kind.id
    )
    index = {kind.id: number for number, kind in enumerate(described)}
    results = (_result(one, index[one.kind.id]) for one in conclusions(report))
    return sarif_log(described, results, holds=report.holds or not report.stated)


def _result(one: FleetFinding, index: int) -> dict[str, object]:
    at = "@".join(filter(None, (one.account, one.host)))
    said = f"{at}: {DOUBT if one.doubt else ''}{one.message}" if at else one.message
    found: dict[str, object] = {
        "ruleId": one.kind.id,
        "ruleIndex": index,
        "level": str(one.severity),
        "message": {"text": visible(said)},
        "properties": {
            "host": one.host,
            "user": one.account,
            "policy": list(one.rules),
            "doubt": one.doubt,
        },
    }
    if one.host:
        found["locations"] = [_location(one)]
    return found


def _location(one: FleetFinding) -> dict[str, object]:
    """A file of a host as sftp would name it, or the host alone."""
    path = one.path if one.path.startswith("/") else "/"
    uri = f"sftp://{quote(host_name(one.host), safe='')}{quote(path, errors='replace')}"
    physical: dict[str, object] = {"artifactLocation": {"uri": uri}}
    if one.line and one.path:
        physical["region"] = {"startLine": one.line}
    return {"physicalLocation": physical}
