"""What changed on hosts since they were checked before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from fidokit.fleet.report.host_lines import KeptHost, kept_host, login_name
from fidokit.fleet.report.rows import HostRow


class LoginChange(NamedTuple):
    """A way in that appeared or is gone.

    Attributes:
        host, account: where.
        way: by what, as in `EntryWay`.
        fingerprint, comment: of the key; hostile text, and empty for other ways.
        appeared: whether it is new; else it is gone.
    """

    host: str
    account: str
    way: str
    fingerprint: str
    comment: str
    appeared: bool


@dataclass(frozen=True, slots=True)
class FleetDrift:
    """What changed, host by host; a host that was not checked now or before has no part in it.

    Attributes:
        since: when the oldest report that was compared was made; seconds since 1970, 0 for none.
        compared: how many hosts were compared.
        first_seen: hosts that were checked for the first time.
        changes: ways in that appeared or are gone.
    """

    since: int = 0
    compared: int = 0
    first_seen: tuple[str, ...] = ()
    changes: tuple[LoginChange, ...] = ()


def drift(rows: Iterable[HostRow], before: Mapping[str, str]) -> FleetDrift:
    """Compare what was found with what was kept.

    Args:
        before: lines of hosts by name, as `parse_hosts` returns them.
    """
    since, compared = 0, 0
    first_seen, changes = [], list[LoginChange]()
    for row in rows:
        if not row.checked:
            continue
        kept = kept_host(before[row.host]) if row.host in before else None
        if kept is None or not kept.checked_at:
            first_seen.append(row.host)
            continue
        compared += 1
        since = min(since or kept.checked_at, kept.checked_at)
        changes += _changes(row, kept)
    return FleetDrift(since, compared, tuple(first_seen), tuple(changes))


def _changes(row: HostRow, kept: KeptHost) -> Iterator[LoginChange]:
    now = {login_name(login): login.comment for login in row.logins}
    for name, comment in now.items():
        if name not in kept.logins:
            yield LoginChange(row.host, *name, comment, appeared=True)
    for name, comment in kept.logins.items():
        if name not in now:
            yield LoginChange(row.host, *name, comment, appeared=False)
