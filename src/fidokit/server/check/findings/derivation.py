"""Findings from the events of a report, each behind the event that it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Union

from fidokit import findings as kinds
from fidokit.findings import FindingKind
from fidokit.server.accounts import Account
from fidokit.server.check.audit import CheckEvent, FileReport, ServerReport, UserReport
from fidokit.server.check.findings.finding import CheckFinding, DecidingSetting
from fidokit.server.check.findings.server_files import ServerFiles
from fidokit.server.check.findings.setting_origins import AskedLogin, SettingOrigins
from fidokit.server.check.key_lines import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import CheckVerdict, Strength
from fidokit.server.check.policy import CheckRule, Violation

ReportEvent = Union[CheckEvent, CheckFinding]  # noqa: UP007  Python 3.9 evaluates it


@dataclass
class Derivation:
    """Watches a report go by and adds what it comes to.

    Attributes:
        origins: see `SettingOrigins`.
        files: see `ServerFiles`.
    """

    origins: SettingOrigins
    files: ServerFiles
    _account: Account | None = field(default=None, init=False)
    _user: str = field(default="", init=False)
    _path: str = field(default="", init=False)
    _known: frozenset[str] = field(default=frozenset(), init=False)
    _quiet: CheckVerdict | None = field(default=None, init=False)  # the last that says nothing

    def watch(self, events: Iterable[ReportEvent]) -> Iterator[ReportEvent]:
        """The report, with findings in it."""
        for event in events:
            yield event
            if isinstance(event, KeyLine):
                if event.verdict is not self._quiet or event.duplicate:
                    yield from self._key(event)
            elif isinstance(event, UnreadableLine):
                yield self._unreadable(event)
            elif isinstance(event, FileReport):
                self._path = event.path
                yield from self._file(event)
            elif isinstance(event, UserReport):
                self._account, self._user = event.account, event.account.name
                yield from self._of_user(event)
            elif isinstance(event, ServerReport):
                yield from self._server(event)

    # --- the server and its users --------------------------------------------------------------

    def _server(self, report: ServerReport) -> Iterator[CheckFinding]:
        self._known = frozenset(report.notes)
        broken = _by_why(report.violations)
        for note in dict.fromkeys([*report.notes, *broken]):
            rules = tuple(str(found.rule) for found in broken.get(note, ()))
            find_out = next((one.find_out for one in broken.get(note, ()) if one.find_out), "")
            yield CheckFinding(kinds.REPORT_LIMIT, note, rules=rules, doubt=True, find_out=find_out)
        for keyword, kind, message in _OTHER_WAYS:
            if report.settings.is_on(keyword):
                yield CheckFinding(
                    kind, message, settings=self.origins.of(report.settings, (keyword,))
                )
        reading = self.origins.reading()
        if reading:
            yield from self.files.of_configuration(reading.files, reading.patterns)
        yield from self.files.of_settings(report.settings)

    def _of_user(self, report: UserReport) -> Iterator[CheckFinding]:
        user = self._user
        if report.unknown:
            rules = tuple(str(found.rule) for found in report.violations)
            how = next((one.find_out for one in report.violations if one.find_out), "")
            yield CheckFinding(
                kinds.UNKNOWN_USER, report.unknown, user, rules=rules, doubt=True, find_out=how
            )
            return
        yield from self.files.of_settings(report.settings)
        yield from self.files.of_user(report.account, report.settings)
        if report.password.possible:
            yield self._password(report)
        about_keys = [one for one in report.violations if one.rule is not CheckRule.NO_PASSWORD]
        by_why = _by_why(about_keys)
        for why, violations in by_why.items():
            yield self._of_settings(report, why, violations)
        for note in report.notes:
            if note not in self._known and note not in by_why:
                yield CheckFinding(kinds.REPORT_LIMIT, note, user, doubt=True)

    def _password(self, report: UserReport) -> CheckFinding:
        settings, way = report.settings, report.password
        broken = [one for one in report.violations if one.rule is CheckRule.NO_PASSWORD]
        find_out = way.find_out or next((one.find_out for one in broken if one.find_out), "")
        doubt = bool(find_out) or any(one.doubt for one in broken)
        empty = "EMPTY" in way.why
        on = [name for name in _PASSWORD_SWITCHES if settings.is_on(name)]
        kind = kinds.EMPTY_PASSWORD if empty else kinds.PASSWORD
        return CheckFinding(
            kinds.DOUBTFUL_PASSWORD if doubt else kind,
            broken[0].why if broken else way.why,
            self._user,
            rules=tuple(str(one.rule) for one in broken),
            doubt=doubt,
            settings=self._located(report, ["PermitEmptyPasswords"] if empty else on),
            find_out=find_out,
        )

    def _located(self, report: UserReport, keywords: Sequence[str]) -> tuple[DecidingSetting, ...]:
        """Where a user's settings come from, as they are for the login that they were read for."""
        view = next((view for view in report.views if view.settings is report.settings), None)
        asked = (
            AskedLogin(self._user, view.instance.sshd, view.origin)
            if view
            else AskedLogin(self._user)
        )
        return self.origins.of(report.settings, keywords, asked)

    def _of_settings(
        self, report: UserReport, why: str, violations: Sequence[Violation]
    ) -> CheckFinding:
        keyword = next((name for name in _UNSEEN if name in why), "")
        return CheckFinding(
            _UNSEEN.get(keyword, kinds.UNSEEN_KEY),
            why,
            self._user,
            rules=tuple(str(found.rule) for found in violations),
            doubt=any(found.doubt for found in violations),
            settings=self._located(report, [keyword] if keyword else []),
            find_out=next((one.find_out for one in violations if one.find_out), ""),
        )

    # --- files and their lines -----------------------------------------------------------------

    def _file(self, report: FileReport) -> Iterator[CheckFinding]:
        for why in report.refusals:
            # What fixes a mode in a home folder does harm in /tmp: no command here.
            message = why.partition(_MENDED)[0]
            yield CheckFinding(kinds.IGNORED_KEY_FILE, message, report.user, report.path)
        if report.warnings and self._account:
            yield from self.files.of_keys(self._account, report.path)
        if report.hidden:
            rules = tuple(str(found.rule) for found in report.violations)
            yield CheckFinding(
                kinds.HIDDEN_FILE, report.hidden, report.user, report.path, rules=rules, doubt=True
            )

    def _unreadable(self, line: UnreadableLine) -> CheckFinding:
        rules = tuple(str(rule) for rule, _ in line.violates)
        kind = kinds.DOUBTFUL_LINE if rules else kinds.IGNORED_LINE
        doubt = bool(rules) and bool(line.doubt)
        why = line.doubt if doubt else line.reason
        return CheckFinding(kind, why, self._user, self._path, line.line, rules, doubt=doubt)

    def _key(self, key: KeyLine) -> Iterator[CheckFinding]:
        found = [*_of_verdict(key.verdict, key)]
        self._quiet = None if found else key.verdict
        if key.duplicate:
            twin = key.duplicate
            same = f"the same key stands at {twin.path}:{twin.line} ({twin.user})"
            yield self._about(kinds.DUPLICATE_KEY, same, key)
        for kind, why, rules in found:
            doubt = bool(rules) and bool(key.verdict.doubt)
            said = f"{why} ({key.verdict.doubt})" if key.verdict.doubt and rules else why
            yield self._about(kind, said, key)._replace(rules=rules, doubt=doubt)

    def _about(self, kind: FindingKind, why: str, key: KeyLine) -> CheckFinding:
        about = f"{key.type} {key.fingerprint}{f' ({key.comment})' if key.comment else ''}"
        return CheckFinding(
            kind, why, self._user, self._path, key.line, key=key.fingerprint, about=about
        )


_OF_TOKENS: Final = ("touch-required", "verify-required", "no-touch-required")
_PASSWORD_SWITCHES: Final = ("PasswordAuthentication", "KbdInteractiveAuthentication")
_UNSEEN: Final[Mapping[str, FindingKind]] = {
    "AuthorizedKeysCommand": kinds.UNSEEN_KEY,
    "TrustedUserCAKeys": kinds.UNSEEN_CERTIFICATE,
}
_OTHER_WAYS: Final = (
    ("HostbasedAuthentication", kinds.HOST_BASED, "users of hosts that sshd trusts get in"),
    ("GSSAPIAuthentication", kinds.KERBEROS, "holders of Kerberos tickets get in"),
)
_MENDED: Final = "; fix it with: "


KindOfKey = tuple[FindingKind, str, tuple[str, ...]]
"""A kind, half a sentence, and the rules that are broken."""


def _of_verdict(verdict: CheckVerdict, key: KeyLine) -> Iterator[KindOfKey]:
    if verdict.refusals and not verdict.violates:
        yield kinds.REFUSED_KEY, "; ".join(verdict.refusals), ()
        return
    yield from _violations(verdict)
    if verdict.strength is not Strength.GOOD:
        weak = verdict.strength is Strength.WEAK
        yield kinds.WEAK_KEY if weak else kinds.SHORT_KEY, f"{key.bits} bits", ()
    if verdict.hardware and not verdict.touch:
        yield kinds.NO_TOUCH, "no touch is asked for", ()
    if not verdict.hardware and not verdict.is_authority:
        for option in verdict.options:
            if option.name in _OF_TOKENS:
                yield kinds.IDLE_OPTION, f"{option.name} does nothing for a key in a file", ()


def _violations(verdict: CheckVerdict) -> Iterator[KindOfKey]:
    """One for each kind, with all the rules that it breaks."""
    found: dict[FindingKind, tuple[str, tuple[str, ...]]] = {}
    for rule, why in verdict.violates:
        kind = _kind_of(verdict, rule)
        first, rules = found.get(kind, (why, ()))
        found[kind] = (first, (*rules, str(rule)))
    for kind, (why, rules) in found.items():
        yield kind, why, rules


def _by_why(violations: Iterable[Violation]) -> dict[str, list[Violation]]:
    found: dict[str, list[Violation]] = {}
    for one in violations:
        found.setdefault(one.why, []).append(one)
    return found


def _kind_of(verdict: CheckVerdict, rule: CheckRule) -> FindingKind:
    if verdict.is_authority:
        return kinds.UNSEEN_CERTIFICATE
    return kinds.NO_PIN if rule is CheckRule.VERIFY and verdict.hardware else kinds.KEY_IN_FILE
