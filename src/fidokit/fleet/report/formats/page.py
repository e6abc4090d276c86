"""A fleet's report as one HTML file: nothing is loaded from elsewhere, and no text becomes markup.

The page's lists are made by its script from data that it carries, as somebody unfolds them: 10,000
hosts with 100,000 ways in would be a million elements. A policy in the page (CSP) lets that script
run, and nothing else; all text reaches the page as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import islice
from pathlib import Path
from typing import Final

from fidokit import __version__
from fidokit.fleet.hosts.audit import HostState
from fidokit.fleet.report.conclusions import key_words
from fidokit.fleet.report.joined import FleetReport
from fidokit.fleet.report.rows import EntryWay, HostRow
from fidokit.server.check.formats.sentences import visible

WAYS: Final[Mapping[EntryWay, str]] = {
    EntryWay.PASSWORD: "a password alone",
    EntryWay.FILE: "a key in a file",
    EntryWay.TOKEN: "a key on a token",
    EntryWay.CERTIFICATE: "a certificate",
    EntryWay.UNKNOWN: "cannot be known",
}
"""By what somebody gets in, the worst first."""

_MOST: Final = 1000
"""Rows of a list that stands in the page; the list of hosts has them all."""

_ORDER: Final = tuple(WAYS)
_SLOT: Final = re.compile(r"@([A-Z-]+)@")


def fleet_page(report: FleetReport, now: float) -> Iterator[str]:
    """The page in pieces.

    Args:
        now: when the check ended, in seconds since 1970.
    """
    folder = Path(__file__).parent
    style = (folder / "page.css").read_text(encoding="utf-8")
    script = (folder / "page.js").read_text(encoding="utf-8")
    slots = {
        "TITLE": f"Fleet check of {len(report.rows):,} hosts",
        "STYLE-HASH": _hash(style),
        "SCRIPT-HASH": _hash(script),
        "STYLE": style,
        "SCRIPT": script,
        "SUMMARY": _summary(report),
        "LISTS": "".join(_lists(report)),
        "FOOTER": f"fidokit {__version__}, {_moment(now)}. Each host reports about itself.",
    }
    template = (folder / "page.html").read_text(encoding="utf-8")
    at = 0
    for slot in _SLOT.finditer(template):
        yield template[at : slot.start()]
        if slot[1] == "DATA":
            yield from _data(report)
        else:
            yield slots[slot[1]]
        at = slot.end()
    yield template[at:]


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


# --- what stands in the page -----------------------------------------------------------------


def _summary(report: FleetReport) -> str:
    unchecked = len(report.rows) - report.checked
    cards = [(f"{report.checked:,}", "hosts checked", "")]
    cards += [(f"{unchecked:,}", "hosts not checked", "doubt")] if unchecked else []
    if report.stated:
        name = "good" if report.holds else "bad"
        cards.append(("holds" if report.holds else "does not hold", "what was demanded", name))
    for way in _ORDER:
        if number := report.ways[way].accounts:
            name = {EntryWay.PASSWORD: "bad", EntryWay.UNKNOWN: "doubt"}.get(way, "")
            cards.append((f"{number:,}", f"accounts by {WAYS[way]}", name))
    if report.by_policy:
        unknown, gaps = len(report.unknown_keys), len(report.gaps)
        cards.append((f"{unknown:,}", "keys not in the policy", "bad" if unknown else ""))
        cards.append((f"{gaps:,}", "people without a backup", "doubt" if gaps else ""))
    changes = len(report.drift.changes)
    cards += [(f"{changes:,}", "changes since last time", "")] if report.drift.compared else []
    items = (f'<li class="{name}"><b>{_text(big)}</b>{_text(small)}' for big, small, name in cards)
    return f'<ul class="cards">{"".join(items)}</ul>'


def _lists(report: FleetReport) -> Iterator[str]:
    unchecked = [row for row in report.rows if not row.checked]
    rows = [(row.host, HostState(row.state).meaning, row.problem) for row in unchecked]
    yield _list("Hosts that could not be checked", ("Host", "State", "Why"), rows)
    strange = [(key_words(key), WAYS[key.way], key.example) for key in report.unknown_keys]
    yield _list(
        "Keys that the policy does not know", ("Key", "Gets in by", "For example on"), strange
    )
    gaps = [(gap.person, f"{gap.open:,} of {gap.places:,}", gap.example) for gap in report.gaps]
    heads = ("Person", "Accounts without a backup", "For example")
    yield _list("People without a backup", heads, gaps)
    changes = [
        (
            "new" if one.appeared else "gone",
            f"{one.account}@{one.host}",
            one.way,
            _of(one.fingerprint, one.comment),
        )
        for one in report.drift.changes
    ]
    since = f" since {_moment(report.drift.since)}" if report.drift.since else ""
    yield _list(f"Changes{since}", ("Change", "Account", "By", "Key"), changes)


def _of(fingerprint: str, comment: str) -> str:
    return f"{fingerprint} {comment}".strip()


def _list(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A folded table; nothing if it is empty."""
    if not rows:
        return ""
    head = "".join(f"<th>{_text(one)}" for one in heads)
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(cell)}' for cell in row)}" for row in islice(rows, _MOST)
    )
    more = f"<p>and {len(rows) - _MOST:,} more" if len(rows) > _MOST else ""
    unfolded = " open" if len(rows) <= 20 else ""
    return (
        f"<details{unfolded}><summary>{_text(title)} <small>{len(rows):,}</small></summary>"
        f'<div class="inner"><table><thead><tr>{head}<tbody>{body}</table>{more}</div></details>'
    )


def _text(text: str) -> str:
    """Hostile text for the page: visible, and no markup."""
    return escape(visible(text))


# --- what the script reads -------------------------------------------------------------------


def _data(report: FleetReport) -> Iterator[str]:
    """JSON without any sign that ends a script; a key and an account stand there once."""
    numbers = {(key.fingerprint, key.way): n for n, key in enumerate(report.keys)}
    accounts: dict[str, int] = {}
    yield '{"ways":' + _json([WAYS[way] for way in _ORDER]) + ',"hosts":['
    yield from _joined(_json(_host(row, numbers, accounts)) for row in report.rows)
    yield '],"keys":['
    yield from _joined(
        _json(
            [
                key.fingerprint,
                key.type,
                visible(key.comment),
                _ORDER.index(key.way),
                key.owner,
                key.token,
                key.backup,
                key.known,
                key.places,
            ]
        )
        for key in report.keys
    )
    yield '],"accounts":' + _json([visible(name) for name in accounts]) + "}"


def _host(
    row: HostRow, keys: Mapping[tuple[str, EntryWay], int], accounts: dict[str, int]
) -> list[object]:
    logins = [
        (
            accounts.setdefault(login.account, len(accounts)),
            _ORDER.index(login.way),
            keys.get((login.fingerprint, login.way), -1),
            bool(login.touch) + 2 * bool(login.verify),
        )
        for login in row.logins
    ]
    troubles = [(one.id, visible(one.message), visible(one.account)) for one in row.troubles]
    return [
        visible(row.host),
        str(row.state),
        visible(row.problem),
        row.accounts,
        row.holds,
        logins,
        troubles,
    ]


def _joined(pieces: Iterable[str]) -> Iterator[str]:
    before = ""
    for piece in pieces:
        yield before + piece
        before = ",\n"


def _json(value: object) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
