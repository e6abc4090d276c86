"""What a report comes to: who gets in by what, numbers, findings, and whether the rules hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from fidokit.findings import UNSEEN_CERTIFICATE
from fidokit.server.check.audit import UserReport
from fidokit.server.check.findings.derivation import ReportEvent
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.key_lines import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import CheckVerdict, Strength
from fidokit.types import Word


class LoginWay(Word):
    """By what a user gets in."""

    TOKEN = "token-key"  # noqa: S105  a way in
    FILE = "file-key"
    CERTIFICATE = "certificate"
    PASSWORD = "password"  # noqa: S105  a way in
    UNKNOWN = "unknown"


@dataclass
class CheckTally:
    """Watches a report go by.

    Attributes:
        stated: the rules, as they were stated.
        findings: in the order of the report.
        names: everybody who was checked.
        ways: who gets in, by what, with the number of their keys.
        unreadable: lines that sshd ignores.
        duplicates: lines with a key that stood somewhere before.
        keys, on_tokens, weak, refused: lines with a key; those that are on a token, have a weak
            type or size, or that sshd does not take.
    """

    stated: tuple[str, ...] = ()
    findings: list[CheckFinding] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    ways: dict[LoginWay, dict[str, int]] = field(default_factory=lambda: {w: {} for w in LoginWay})
    unreadable: int = 0
    duplicates: int = 0
    keys: int = 0
    on_tokens: int = 0
    weak: int = 0
    refused: int = 0
    _user: str = ""
    _verdict: CheckVerdict | None = None
    _in: dict[str, int] | None = None
    """Users of the last verdict's way in, which many lines share; None if it is refused."""

    @property
    def users(self) -> int:
        """How many there were."""
        return len(self.names)

    @property
    def by_password(self) -> list[str]:
        """Who gets in by a password alone."""
        return list(self.ways[LoginWay.PASSWORD])

    @property
    def violations(self) -> list[CheckFinding]:
        """What breaks a rule."""
        return [finding for finding in self.findings if finding.rules]

    def broken(self, rule: str, *, doubt: bool) -> int:
        """How many findings break a rule, for certain or by doubt."""
        return sum(rule in found.rules and found.doubt is doubt for found in self.findings)

    def holds(self, rule: str | None = None) -> bool:
        """Whether a rule holds; all that were stated if None."""
        return not any(rule in found.rules if rule else found.rules for found in self.findings)

    def with_keys(self, *ways: LoginWay) -> set[str]:
        """Who gets in by any of these ways."""
        return {user for way in ways for user in self.ways[way]}

    def watch(self, report: Iterator[ReportEvent]) -> Iterator[ReportEvent]:
        """Pass a report on, and count."""
        for event in report:
            if isinstance(event, KeyLine):
                self._count_key(event)
            elif isinstance(event, CheckFinding):
                self._count_finding(event)
            elif isinstance(event, UserReport):
                self._count_user(event)
            elif isinstance(event, UnreadableLine):
                self.unreadable += 1
            yield event

    def _count_key(self, key: KeyLine) -> None:
        verdict = key.verdict
        if verdict is not self._verdict:
            self._verdict = verdict
            self._in = None if verdict.refusals else self.ways[_way(verdict)]
        self.keys += 1
        if verdict.hardware:
            self.on_tokens += 1
        if verdict.strength is Strength.WEAK:
            self.weak += 1
        if self._in is None:
            self.refused += 1
        else:
            self._in[self._user] = self._in.get(self._user, 0) + 1
        if key.duplicate:
            self.duplicates += 1

    def _count_user(self, report: UserReport) -> None:
        self._user = report.account.name
        self.names.append(self._user)
        if report.unknown:
            self._add(LoginWay.UNKNOWN)
        elif report.password.possible:
            self._add(LoginWay.PASSWORD)

    def _count_finding(self, finding: CheckFinding) -> None:
        self.findings.append(finding)
        if finding.doubt and finding.user:
            self.ways[LoginWay.UNKNOWN].setdefault(finding.user, 1)
        elif finding.kind is UNSEEN_CERTIFICATE and finding.rules:
            self.ways[LoginWay.CERTIFICATE].setdefault(finding.user, 1)

    def _add(self, way: LoginWay) -> None:
        users = self.ways[way]
        users[self._user] = users.get(self._user, 0) + 1


def _way(verdict: CheckVerdict) -> LoginWay:
    if verdict.is_authority:
        return LoginWay.CERTIFICATE
    return LoginWay.TOKEN if verdict.hardware else LoginWay.FILE
