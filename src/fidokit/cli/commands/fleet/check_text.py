"""`fleet check` for a reader: numbers first, then what matters, a line each; --long shows all."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from fidokit.cli.render import styled
from fidokit.findings import KINDS, FindingKind, Severity
from fidokit.fleet.report.drift import LoginChange
from fidokit.fleet.report.formats.page import WAYS
from fidokit.fleet.report.joined import FleetReport, KeyUse
from fidokit.fleet.report.rows import EntryWay, FleetLogin, HostRow
from fidokit.prompt.text import BAD, BOLD, DOUBT, FAINT, GOOD, count, escape

_WIDTH: Final = 80
_SHOWN: Final = 10
"""Lines of one list; --long shows all."""

_PRINT: Final = 19
"""Signs of a fingerprint in a table: `SHA256:` and 12 more tell keys apart."""

_COLORS: Final = {Severity.ERROR: BAD, Severity.WARNING: DOUBT, Severity.NOTE: FAINT}


def report_lines(report: FleetReport, *, long_: bool) -> Iterator[str]:
    """The report, line by line, escaped and at most 80 columns wide unless it is long."""
    most = None if long_ else _SHOWN
    yield from _head(report)
    unchecked = [row for row in report.rows if not row.checked]
    yield from _list(f"Not checked ({len(unchecked):,})", map(_problem, unchecked), most)
    yield from _ways(report)
    strange = [
        f"{_key(key)}: {_hosts(key)} as {', '.join(key.accounts)}" for key in report.unknown_keys
    ]
    yield from _list(f"Keys that the policy does not know ({len(strange):,})", strange, most, BAD)
    gaps = [
        f"{gap.person}: {gap.open:,} of {gap.places:,} accounts, such as {gap.example}"
        for gap in report.gaps
    ]
    yield from _list(f"People without a backup ({len(gaps):,})", gaps, most, DOUBT)
    yield from _findings(report, most)
    yield from _drift(report, most)
    yield from _keys(report, most)
    if long_:
        yield from _every_host(report)


def _head(report: FleetReport) -> Iterator[str]:
    number = len(report.rows)
    hosts = f"{report.checked:,} of {number:,} hosts checked"
    yield styled(hosts if report.checked < number else f"{count(number, 'host')} checked")
    if report.stated:
        what = " and ".join(
            filter(None, ("the policy" if report.by_policy else "", ", ".join(report.rules)))
        )
        verdict = styled("holds", GOOD) if report.holds else styled("does not hold", BAD)
        yield f"  {escape(what)}: {verdict}"


def _problem(row: HostRow) -> str:
    return f"{row.host}  {row.state}: {row.problem}"


def _ways(report: FleetReport) -> Iterator[str]:
    found = [(WAYS[way], report.ways[way]) for way in WAYS if report.ways[way].accounts]
    if not found:
        return
    yield ""
    yield styled(f"{'Who gets in by':<22} {'hosts':>8} {'accounts':>10} {'keys':>8}")
    for title, one in found:
        keys = f"{one.keys:,}" if one.keys else "-"
        yield f"  {title:<20} {one.hosts:>8,} {one.accounts:>10,} {keys:>8}"
    if report.lonely and not report.by_policy:
        accounts = "account has" if report.lonely == 1 else "accounts have"
        yield f"  {report.lonely:,} {accounts} one key on a token, and no other way in."


# --- findings and changes --------------------------------------------------------------------


def _findings(report: FleetReport, most: int | None) -> Iterator[str]:
    """By kind, the worst first, with the hosts that have it."""
    by_kind: dict[tuple[int, bool, str], dict[str, int]] = {}
    order = list(Severity)
    for row in report.rows:
        for one in row.troubles:
            name = (order.index(Severity(one.severity)), one.doubt, one.id)
            hosts = by_kind.setdefault(name, {})
            hosts[row.host] = hosts.get(row.host, 0) + 1
    if by_kind:
        yield ""
        yield styled("Findings")
    for (severity, doubt, kind), hosts in sorted(by_kind.items()):
        yield from _finding(KINDS[kind], order[severity], list(hosts), most, doubt=doubt)


def _finding(
    kind: FindingKind, severity: Severity, hosts: Sequence[str], most: int | None, *, doubt: bool
) -> Iterator[str]:
    word = "doubt" if doubt else str(severity)
    yield f"  {styled(kind.id, _COLORS[severity])} {word}: {kind.title}"
    named = ", ".join(hosts[: most and most // 2])
    more = f", and {len(hosts) - most // 2:,} more" if most and len(hosts) > most // 2 else ""
    yield _cut(f"        {count(len(hosts), 'host')}: {named}{more}", most)


def _drift(report: FleetReport, most: int | None) -> Iterator[str]:
    drift = report.drift
    if not drift.compared:
        return
    since = time.strftime("%Y-%m-%d %H:%M", time.localtime(drift.since))
    if not drift.changes:
        yield ""
        yield f"Nothing changed since {since} on {count(drift.compared, 'host')}."
    title = f"Changed since {since} ({len(drift.changes):,})"
    yield from _list(title, map(_change, drift.changes), most)


def _change(change: LoginChange) -> str:
    sign = "+" if change.appeared else "-"
    what = f"{change.fingerprint} {change.comment}".strip()
    return f"{sign} {change.account}@{change.host} {change.way} {what}".rstrip()


# --- keys ------------------------------------------------------------------------------------


def _keys(report: FleetReport, most: int | None) -> Iterator[str]:
    if not report.keys:
        return
    print_width = _PRINT if most else 50
    yield ""
    yield styled(f"{f'Keys ({len(report.keys):,})':<25} {'key':<{print_width}} {'hosts':>6} as")
    for key in islice(report.keys, most):
        mark = "*" if key.way is EntryWay.TOKEN else " "
        whose = _clipped(_whose(key), 23)
        shown = f"{mark} {whose:<23} {key.fingerprint[:print_width]:<{print_width}}"
        yield _cut(f"{shown} {key.hosts:>6,} {', '.join(key.accounts)}", most)
    yield from _more(len(report.keys), most)
    if any(key.way is EntryWay.TOKEN for key in report.keys[:most]):
        yield "* on a token"


def _whose(key: KeyUse) -> str:
    named = ", ".join(filter(None, (key.owner, key.token)))
    return escape(named or f'"{key.comment}"' if key.comment else key.type)


def _key(key: KeyUse) -> str:
    return " ".join(filter(None, (key.type, key.fingerprint[:_PRINT], key.comment[:20])))


def _hosts(key: KeyUse) -> str:
    return f"{key.example} and {key.hosts - 1:,} more" if key.hosts > 1 else key.example


# --- every host ------------------------------------------------------------------------------


def _every_host(report: FleetReport) -> Iterator[str]:
    owners = {(key.fingerprint, key.way): key for key in report.keys}
    yield ""
    yield styled("Hosts")
    for row in report.rows:
        if row.checked:
            yield f"{escape(row.host)}  {count(row.accounts, 'account')}, {row.seconds:.1f} s"
        for login in row.logins:
            yield f"  {escape(_login(login, owners.get((login.fingerprint, login.way))))}"
        for one in row.troubles:
            at = f" {one.path}:{one.line or ''}".rstrip(":") if one.path else ""
            yield f"  {one.id} {escape(f'{one.account} {one.message}{at}'.strip())}"
        if row.more_troubles:
            yield f"  and {row.more_troubles:,} more findings: see `server check` there"


def _login(login: FleetLogin, key: KeyUse | None) -> str:
    demands = [word for word, on in (("touch", login.touch), ("PIN", login.verify)) if on]
    whose = ", ".join(filter(None, (key.owner, key.token))) if key else ""
    parts = (
        f"{login.account:<16} {login.way}",
        login.type,
        login.fingerprint,
        login.comment,
        f"[{whose}]" if whose else "",
        f"({', '.join(demands)})" if demands else "",
        " ".join(login.options),
    )
    return "  ".join(filter(None, parts))


# --- lines -----------------------------------------------------------------------------------


def _list(title: str, lines: Iterable[str], most: int | None, color: str = BOLD) -> Iterator[str]:
    """Lines under a title; nothing if there are none."""
    rows = list(lines)
    if not rows:
        return
    yield ""
    yield styled(title, color)
    yield from (_cut(f"  {escape(line)}", most) for line in rows[:most])
    yield from _more(len(rows), most)


def _more(number: int, most: int | None) -> Iterator[str]:
    if most and number > most:
        yield f"  and {number - most:,} more: --long shows them"


def _cut(line: str, most: int | None) -> str:
    """A line of a short report fits a terminal; a long one is whole."""
    return escape(_clipped(line, _WIDTH) if most else line)


def _clipped(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
