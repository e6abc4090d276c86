"""What a report comes to: numbers, and everything that breaks a stated rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fidokit.server.check.audit import Event, FileReport, UserReport
from fidokit.server.check.key_events import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import Strength, Verdict
from fidokit.server.check.policy import Rule, Violation


@dataclass
class Tally:
    """Watches a report go by.

    Attributes:
        rules: the policies that were stated.
        users: how many there were; `by_password` names those with a way in by password.
        unreadable: lines that sshd passes over.
        duplicates: lines with a key that stood somewhere before.
        keys, on_tokens, weak, refused: lines with a key; those that are on a token, have a weak
            type or size, or that sshd does not take.
        violations: in the order of the report.
    """

    rules: frozenset[Rule] = frozenset()
    users: int = 0
    by_password: list[str] = field(default_factory=list)
    unreadable: int = 0
    duplicates: int = 0
    violations: list[Violation] = field(default_factory=list)
    keys: int = 0
    on_tokens: int = 0
    weak: int = 0
    refused: int = 0
    _user: str = ""
    _path: str = ""

    def watch(self, report: Iterator[Event]) -> Iterator[Event]:
        """Pass a report on, and count."""
        last, run, breaks = None, 0, False
        for event in report:
            if isinstance(event, KeyLine):
                _, _, _, _, _, verdict, duplicate = event
                # Many lines share one verdict: a run of them is counted at once.
                if verdict is last:
                    run += 1
                else:
                    self._add(last, run)
                    last, run, breaks = verdict, 1, bool(verdict.violates)
                if breaks or duplicate:
                    self._look_at(event)
            else:
                self._count(event)
            yield event
        self._add(last, run)

    def _add(self, verdict: Verdict | None, lines: int) -> None:
        if verdict is not None:
            self.keys += lines
            self.on_tokens += lines * (verdict.hardware is True)
            self.weak += lines * (verdict.strength is Strength.WEAK)
            self.refused += lines * bool(verdict.refusals)

    def _look_at(self, key: KeyLine) -> None:
        self.duplicates += key.duplicate is not None
        self.violations += [
            Violation(rule, self._user, why, self._path, key.line)
            for rule, why in key.verdict.violates
        ]

    def _count(self, event: Event) -> None:
        match event:
            case UserReport():
                self.users += 1
                self._user = event.account.name
                if event.password.possible:
                    self.by_password.append(event.account.name)
                self.violations += event.violations
            case FileReport():
                self._path = event.path
                self.violations += event.violations
            case UnreadableLine():
                self.unreadable += 1
                self.violations += [
                    Violation(rule, self._user, why, self._path, event.line)
                    for rule, why in event.violates
                ]
