"""`fleet plan` for a reader: numbers first, then each step once with its hosts; --long by host."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from fidokit.cli.render import styled
from fidokit.fleet.planning.actions import ActionKind, FleetPlan, HostPlan, PlanAction
from fidokit.prompt.text import BAD, DOUBT, GOOD, columns, count, escape, fitted, is_fancy

_SHOWN: Final = 10
"""Steps of one kind; --long shows all."""

_NAMES: Final = 5
_PRINT: Final = 19
"""Signs of a fingerprint: `SHA256:` and 12 more tell keys apart."""

_TITLES: Final[Mapping[ActionKind, tuple[str, str]]] = {
    ActionKind.AUTHORIZE: ("Authorize", "1"),
    ActionKind.REVOKE: ("Revoke", "1"),
    ActionKind.HARDEN: ("Harden", "1"),
    ActionKind.CONFLICT: ("Conflict: no step of a plan ends these", BAD),
    ActionKind.DOUBT: ("Cannot be known", DOUBT),
}
_WORDS: Final[Mapping[ActionKind, str]] = {
    ActionKind.AUTHORIZE: "{} to authorize",
    ActionKind.REVOKE: "{} to revoke",
    ActionKind.HARDEN: "{} to harden",
    ActionKind.CONFLICT: "{} in conflict",
    ActionKind.DOUBT: "{} in doubt",
}


_HINTS: Final[Mapping[ActionKind, str]] = {ActionKind.AUTHORIZE: "first"}
"""What stands before the sentence that helps on."""


class _Step(NamedTuple):
    """What is the same on several hosts."""

    kind: ActionKind
    what: str
    find_out: str


def plan_lines(plan: FleetPlan, *, long_: bool) -> Iterator[str]:
    """The plan, line by line, escaped; on a terminal at most as wide as that."""
    width = columns(sys.stdout) if is_fancy(sys.stdout) else 0
    lines = _long(plan) if long_ else _short(plan)
    for line in (*_head(plan), *lines):
        yield fitted(line, width) if width and "\x1b" not in line else line


def _head(plan: FleetPlan) -> Iterator[str]:
    differing = len(plan.differing)
    hosts = count(len(plan.hosts), "host")
    if plan.holds:
        yield styled(f"{hosts}: as the policy states", GOOD)
        return
    yield styled(
        f"{hosts}: {len(plan.hosts) - differing:,} as the policy states, {differing:,} not"
    )
    counts = plan.counts()
    said = [_WORDS[kind].format(f"{counts[kind]:,}") for kind in ActionKind if counts[kind]]
    if said:
        yield f"  {', '.join(said)}"


# --- each step once --------------------------------------------------------------------------


def _short(plan: FleetPlan) -> Iterator[str]:
    refused: dict[str, list[str]] = {}
    steps: dict[_Step, list[str]] = {}
    for host in plan.differing:
        if host.refused:
            refused.setdefault(host.refused, []).append(host.host)
        for action in host.actions:
            step = _Step(action.kind, action_words(action, _PRINT), action.find_out)
            hosts = steps.setdefault(step, [])
            if not hosts or hosts[-1] != host.host:
                hosts.append(host.host)
    for why, hosts in refused.items():
        yield ""
        yield styled("Refused", BAD)
        yield f"  {escape(why)}"
        yield f"    {_hosts(hosts)}"
    for kind, (title, color) in _TITLES.items():
        found = {step: hosts for step, hosts in steps.items() if step.kind is kind}
        if found:
            yield ""
            yield styled(title, color)
            yield from _kind(found)


def _kind(steps: Mapping[_Step, list[str]]) -> Iterator[str]:
    most_hosts_first = sorted(steps.items(), key=lambda one: -len(one[1]))
    for step, hosts in most_hosts_first[:_SHOWN]:
        yield f"  {step.what}"
        yield f"    {_hosts(hosts)}"
        if step.find_out:
            yield f"    {_HINTS.get(step.kind, 'find out')}: {escape(step.find_out)}"
    if len(steps) > _SHOWN:
        yield f"  and {len(steps) - _SHOWN:,} more; --long shows all"


def _hosts(hosts: list[str]) -> str:
    named = ", ".join(map(escape, hosts[:_NAMES]))
    if len(hosts) == 1:
        return f"on {named}"
    more = f" and {len(hosts) - _NAMES:,} more" if len(hosts) > _NAMES else ""
    return f"on {len(hosts):,} hosts: {named}{more}"


# --- each host -------------------------------------------------------------------------------


def _long(plan: FleetPlan) -> Iterator[str]:
    for host in plan.differing:
        yield ""
        yield styled(escape(host.host))
        yield from _host(host)


def _host(host: HostPlan) -> Iterator[str]:
    if host.refused:
        yield f"  refused: {escape(host.refused)}"
    for action in host.actions:
        at = f" ({escape(action.path)}:{action.line})" if action.path else ""
        yield f"  {action.kind} {action_words(action, None)}{at}"
        if action.find_out:
            yield f"    {_HINTS.get(action.kind, 'find out')}: {escape(action.find_out)}"


def action_words(action: PlanAction, most: int | None = None) -> str:
    """A step in words, without its host; escaped.

    Args:
        most: signs of a fingerprint; None for all.
    """
    words = [escape(action.owner)] if action.owner else []
    if action.fingerprint:
        words.append(action.fingerprint[:most])
    if action.levels:
        words.append(action.levels)
    if action.account:
        words.append(f"{_PLACE[action.kind]} {escape(action.account)}")
    if action.expires:
        words.append(f"until {action.expires}")
    why = escape(action.why)
    return f"{' '.join(words)}: {why}" if words else why


_PLACE: Final[Mapping[ActionKind, str]] = {
    ActionKind.AUTHORIZE: "as",
    ActionKind.REVOKE: "from",
    ActionKind.HARDEN: "for",
    ActionKind.CONFLICT: "as",
    ActionKind.DOUBT: "as",
}
