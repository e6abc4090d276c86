"""What a fleet's report comes to, one finding after the other, for programs that list findings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from fidokit import findings as kinds
from fidokit.findings import KINDS, FindingKind, Severity
from fidokit.fleet.report.joined import FleetReport, KeyUse
from fidokit.fleet.report.rows import HostRow


class FleetFinding(NamedTuple):
    """One thing that was found on a host, or of the fleet as a whole.

    Attributes:
        kind: what it is.
        severity: how much it matters here.
        message: one line; hostile text, as all below.
        host, account, path, line: where; empty and None if nowhere.
        rules: those that it breaks.
        doubt: it cannot be known.
    """

    kind: FindingKind
    severity: Severity
    message: str
    host: str = ""
    account: str = ""
    path: str = ""
    line: int | None = None
    rules: tuple[str, ...] = ()
    doubt: bool = False


def conclusions(report: FleetReport) -> Iterator[FleetFinding]:
    """Of each host in turn, then of all of them: keys, people, changes."""
    for row in report.rows:
        yield from _of_host(row, stated=report.stated)
    for key in report.unknown_keys:
        where = f"on {key.hosts} hosts" if key.hosts > 1 else "on 1 host"
        message = f"{key_words(key)} gets in {where}, and the policy does not know it"
        kind = kinds.UNKNOWN_KEY
        yield FleetFinding(kind, kind.severity, message, key.example, rules=("policy",))
    for gap in report.gaps:
        message = (
            f"{gap.person} has no backup at {gap.open:,} of {gap.places:,} accounts, such as "
            f"{gap.example}"
        )
        yield FleetFinding(kinds.NO_BACKUP, kinds.NO_BACKUP.severity, message)
    for change in report.drift.changes:
        kind = kinds.NEW_WAY_IN if change.appeared else kinds.CLOSED_WAY_IN
        what = " ".join(filter(None, (change.way, change.fingerprint, change.comment)))
        yield FleetFinding(kind, kind.severity, what, change.host, change.account)


def _of_host(row: HostRow, *, stated: bool) -> Iterator[FleetFinding]:
    if not row.checked:
        kind = kinds.UNCHECKED_HOST
        severity = Severity.ERROR if stated else kind.severity
        yield FleetFinding(kind, severity, f"{row.state}: {row.problem}", row.host, doubt=True)
    for one in row.troubles:
        yield FleetFinding(
            KINDS[one.id],
            Severity(one.severity),
            one.message,
            row.host,
            one.account,
            one.path,
            one.line,
            one.rules,
            one.doubt,
        )


def key_words(key: KeyUse) -> str:
    """A key in a few words: type, fingerprint, and what its comment calls it; hostile text."""
    return " ".join(filter(None, (key.type, key.fingerprint, key.comment)))
