"""`server check` in short: who gets in by what, which rules hold, and what was found."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from fidokit.cli.render import styled
from fidokit.findings import FindingKind, Severity
from fidokit.prompt.text import BAD, DOUBT, FAINT, GOOD, count, escape, is_fancy
from fidokit.server.check.findings.advice import Advice, NextStep
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.findings.tally import CheckTally, LoginWay
from fidokit.server.check.formats.sentences import setting_text

_WAYS: Final = {
    LoginWay.PASSWORD: "by a password alone",
    LoginWay.FILE: "by a key in a file",
    LoginWay.TOKEN: "by a key on a token",
    LoginWay.CERTIFICATE: "by a certificate",
    LoginWay.UNKNOWN: "cannot be known",
}
_COLORS: Final = {Severity.ERROR: BAD, Severity.WARNING: DOUBT, Severity.NOTE: FAINT}
_ORDER: Final = (Severity.ERROR, Severity.WARNING, Severity.NOTE)
_SHOWN: Final = 10
"""Findings of one kind; --long shows all."""

_NAMES: Final = 12
"""Users in one line."""

_WIDTH: Final = 80
_LONGEST: Final = 120
"""Of a key's name, fingerprint and comment."""


# --- the summary -----------------------------------------------------------------------------


def write_summary(tally: CheckTally) -> None:
    """Who gets in by what, and which rules hold."""
    inside = {
        user for way, users in tally.ways.items() if way != LoginWay.UNKNOWN for user in users
    }
    print(styled(f"{count(tally.users, 'user')} checked, {len(inside):,} of them may log in"))
    for way, title in _WAYS.items():
        if users := tally.ways[way]:
            _labeled(f"  {title:<20} {len(users):>5}  ", _names(list(users)))
    for rule in tally.stated:
        holds = tally.holds(rule)
        said = styled("holds", GOOD) if holds else styled(_broken(tally, rule), BAD)
        print(f"  {escape(rule)} {said}")


def _broken(tally: CheckTally, rule: str) -> str:
    sure, doubt = (tally.broken(rule, doubt=doubt) for doubt in (False, True))
    parts = [f"is broken ({count(sure, 'finding')})"] if sure else []
    parts += [f"cannot be known to hold ({count(doubt, 'doubt')})"] if doubt else []
    return ", and ".join(parts)


def _names(users: Sequence[str], most: int = _NAMES) -> str:
    shown = ", ".join(map(escape, users[:most]))
    return shown if len(users) <= most else f"{shown}, and {len(users) - most:,} more"


def _labeled(label: str, text: str) -> None:
    """A text behind a label, in its own column."""
    width = max(_width() - len(label), 20)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    print(label + f"\n{' ' * len(label)}".join(lines))


def _width() -> int:
    return min(shutil.get_terminal_size().columns, _WIDTH) if is_fancy(sys.stdout) else _WIDTH


# --- findings --------------------------------------------------------------------------------


def write_findings(
    tally: CheckTally, advice: Advice, *, problems: bool = False, in_full: bool = False
) -> None:
    """Everything that was found, the worst first; notes are only counted unless in full."""
    by_kind: dict[tuple[Severity, bool, FindingKind], list[CheckFinding]] = {}
    for finding in tally.findings:
        if finding.is_problem or not problems:
            key = (finding.severity, finding.doubt, finding.kind)
            by_kind.setdefault(key, []).append(finding)
    ordered = sorted(by_kind.items(), key=lambda item: _rank(*item[0]))
    for (severity, doubt, kind), found in ordered:
        if severity is not Severity.NOTE or in_full:
            _write_kind(kind, severity, doubt, found, advice, in_full=in_full)
    if not ordered:
        print(styled("No problems found.", GOOD))
    notes = [(kind, len(found)) for (s, _, kind), found in ordered if s is Severity.NOTE]
    if notes and not in_full:
        listed = "; ".join(f"{number:,} × {kind.id} {kind.title}" for kind, number in notes)
        print()
        _labeled("Also: ", f"{listed}. --long lists them.")


def _rank(severity: Severity, doubt: bool, kind: FindingKind) -> tuple[int, bool, str]:
    return _ORDER.index(severity), doubt, kind.id


def _write_kind(
    kind: FindingKind,
    severity: Severity,
    doubt: bool,
    found: Sequence[CheckFinding],
    advice: Advice,
    *,
    in_full: bool,
) -> None:
    word = "doubt" if doubt else str(severity)
    rules = sorted({rule.partition("=")[0] for finding in found for rule in finding.rules})
    against = f", against {', '.join(map(escape, rules))}" if rules else ""
    print()
    print(f"{styled(kind.id, _COLORS[severity])} {word}: {kind.title}{against}")
    groups = [*_alike(found)]
    most = len(groups) if in_full else _SHOWN
    steps = [_steps(group, advice) for group in groups]
    shared = len(groups) > 1 and all(step == steps[0] for step in steps)
    for group, own in zip(groups[:most], steps):  # noqa: B905  Python 3.9
        _write_group(group)
        _write_steps([] if shared else own, advice, 4)
    if len(groups) > most:
        print(f"  and {len(groups) - most:,} more: --long shows them")
    _write_steps(steps[0] if shared else [], advice, 2)


def _alike(found: Sequence[CheckFinding]) -> Iterator[list[CheckFinding]]:
    """Users about whom the same is found by the same lines, in one group."""
    groups: dict[tuple[object, ...], list[CheckFinding]] = {}
    for finding in found:
        same = (finding.message, finding.path, finding.line, finding.settings, finding.rules)
        groups.setdefault(same, []).append(finding)
    yield from groups.values()


def _steps(group: Sequence[CheckFinding], advice: Advice) -> list[NextStep]:
    return list(dict.fromkeys(step for found in group[:_SHOWN] for step in advice.of(found)))


def _write_group(group: Sequence[CheckFinding]) -> None:
    first = group[0]
    users = [finding.user for finding in group if finding.user]
    who = f"{_names(users)}: " if users else ""
    if len(first.about) > _LONGEST:
        first = first._replace(about=f"{first.about[:_LONGEST]}...")  # a comment; JSON has it all
    _labeled("  ", who + escape(first.message))
    at = f"{first.path}:{first.line}" if first.line else first.path
    if at and first.path not in first.message:
        print(f"    {escape(at)}")
    for setting in first.settings:
        print(f"    {escape(setting_text(setting))}")


def _write_steps(steps: Sequence[NextStep], advice: Advice, indent: int) -> None:
    for number, step in enumerate(steps):
        label = " " * indent + ("then: " if number else "next: ")
        _write_step(label, step.text, advice.words(step))


def _write_step(label: str, text: str, words: Sequence[str]) -> None:
    if text:
        _labeled(label, escape(text) + (":" if words else ""))
    if words:
        label = " " * len(label) if text else label
        pieces = map(escape, _broken_command(words, _width() - len(label) - 2))
        print(label + f" \\\n{' ' * (len(label) + 2)}".join(pieces))


def _broken_command(words: Sequence[str], width: int) -> Iterator[str]:
    """A command in lines that a shell joins again; no word is broken."""
    line = ""
    for word in map(shlex.quote, words):
        if line and len(line) + len(word) + 3 > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line
