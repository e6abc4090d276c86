"""The JSON of `server check` (docs/json.md): a key a line, while the report comes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from fidokit.cli.render import SCHEMA, Json
from fidokit.cli.schema import members

if TYPE_CHECKING:
    from fidokit.server.check.audit import CheckEvent, FileReport, ServerReport, UserReport
    from fidokit.server.check.findings.advice import Advice
    from fidokit.server.check.findings.derivation import ReportEvent
    from fidokit.server.check.findings.finding import CheckFinding
    from fidokit.server.check.findings.tally import CheckTally
    from fidokit.server.check.key_lines import KeyLine, UnreadableLine
    from fidokit.server.check.key_verdicts import CheckVerdict
    from fidokit.server.check.policy import CheckRule, Violation
    from fidokit.server.sshd.settings import SshdSettings


def document(
    report: Iterable[ReportEvent], tally: CheckTally, advice: Callable[[], Advice]
) -> Iterator[str]:
    """The document in pieces.

    Args:
        tally: watches the report.
        advice: for the findings, once the report is at its end.
    """
    yield from _json(report)
    yield from _json_end(tally, advice())


def _json_end(tally: CheckTally, advice: Advice) -> Iterator[str]:
    yield ',\n "findings": ['
    before = "\n  "
    for finding in tally.findings:
        yield before + json.dumps(_finding(finding, advice))
        before = ",\n  "
    yield "]"
    for name, value in _end(tally).items():
        yield f",\n {json.dumps(name)}: {json.dumps(value)}"
    yield "\n}\n"


def _json(report: Iterable[ReportEvent]) -> Iterator[str]:
    """The JSON (docs/json.md) of users and their keys, a key a line, while the report comes."""
    from fidokit.server.check.audit import ServerReport
    from fidokit.server.check.findings.finding import CheckFinding
    from fidokit.server.check.key_lines import KeyLine

    known: CheckVerdict | None = None
    shared: Json = {}  # what the verdict of the key before says
    opened, first = 0, True  # how many arrays are open below `users`, and whether theirs is empty
    for event in report:
        if isinstance(event, CheckFinding):
            continue
        if isinstance(event, ServerReport):
            server = json.dumps(_server(event))
            yield f'{{"schema": {SCHEMA},\n "server": {server},\n "users": ['
            continue
        depth, data, array = _placed(event)
        if isinstance(event, KeyLine):
            if event.verdict is not known:
                known, shared = event.verdict, _verdict(event.verdict)
            data = {**data, **shared}
        if opened > depth:
            yield "]}" * (opened - depth)
            first = False
        text = json.dumps(data)
        yield ("\n" if first else ",\n") + " " * (depth + 1)
        yield f'{text[:-1]}, "{array}": [' if array else text
        opened, first = (depth + 1, True) if array else (depth, False)
    yield "]}" * opened + "]"


def _placed(event: CheckEvent) -> tuple[int, Json, str]:
    """How deep a part stands in the document, the part, and its array that the next parts fill."""
    from fidokit.server.check.audit import FileReport, UserReport
    from fidokit.server.check.key_lines import KeyLine, UnreadableLine

    if isinstance(event, KeyLine):
        return 2, _key(event), ""
    if isinstance(event, UnreadableLine):
        return 2, _unreadable(event), ""
    if isinstance(event, FileReport):
        return 1, _file(event), "lines"
    if isinstance(event, UserReport):
        return 0, _user(event), "files"
    raise AssertionError("there is one report of a server, and it comes first")


# --- its parts ---------------------------------------------------------------------------------


def _settings(settings: SshdSettings) -> Json:
    """sshd's settings that decide who gets in, by lower-case name; a repeated one is a list."""
    from fidokit.server.check.report import DECISIVE_SETTINGS

    found = {name.lower(): settings.values.get(name.lower(), ()) for name in DECISIVE_SETTINGS}
    return {name: values[0] if len(values) == 1 else list(values) for name, values in found.items()}


def _server(report: ServerReport) -> Json:
    """What holds for all users."""
    return members(report, "settings notes", settings=_settings(report.settings))


def _user(report: UserReport) -> Json:
    """One user; `files` follows."""
    return members(
        report,
        "user uid home refused=refusals password_login password_why settings notes violations"
        " unknown",
        user=report.account.name,
        uid=report.account.uid,
        home=str(report.account.home),
        password_login=report.password.possible,
        password_why=report.password.why,
        settings=_settings(report.settings),
        violations=list(map(_violation, report.violations)),
    )


def _file(report: FileReport) -> Json:
    """One file; `lines` follows."""
    violations = list(map(_violation, report.violations))
    return members(
        report, "path refused=refusals hidden warnings violations", violations=violations
    )


def _key(key: KeyLine) -> Json:
    """What a line with a key says; `_verdict` follows."""
    twin = key.duplicate
    return {
        "line": key.line,
        "type": key.type,
        "bits": key.bits,
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "duplicate_of": twin and members(twin, "user path line"),
    }


def _verdict(verdict: CheckVerdict) -> Json:
    """What becomes of a key; many lines share it."""
    return members(
        verdict,
        "hardware touch_required=touch verify_required=verify authority=is_authority strength"
        " options refused=refusals violates",
        options=[members(option, "name value") for option in verdict.options],
        violates=_violates(verdict.violates),
    )


def _unreadable(line: UnreadableLine) -> Json:
    """A line without a key."""
    violates = _violates(line.violates)
    return members(line, "line unreadable=reason violates", violates=violates)


def _violates(found: Sequence[tuple[CheckRule, str]]) -> list[Json]:
    return [{"rule": str(rule), "why": why} for rule, why in found]


def _finding(found: CheckFinding, advice: Advice) -> Json:
    """One finding of `server check` (docs/findings.md)."""
    return members(
        found,
        "id title severity message why user path line key rules doubt settings next",
        id=found.kind.id,
        title=found.kind.title,
        user=found.user or None,
        path=found.path or None,
        key=found.key or None,
        settings=[members(setting, "keyword value path line why") for setting in found.settings],
        next=advice.lines(found),
    )


def _end(tally: CheckTally) -> Json:
    """Who gets in by what, numbers, and whether the stated rules hold."""
    numbers = "users by_password keys on_tokens weak refused duplicates unreadable"
    broken = [_broken(rule, found) for found in tally.violations for rule in found.rules]
    return {
        "ways": {str(way): list(users) for way, users in tally.ways.items()},
        "tally": members(tally, numbers),
        "policy": {
            "require": list(tally.stated),
            "holds": tally.holds(),
            "violations": broken,
        },
    }


def _broken(rule: str, found: CheckFinding) -> Json:
    """One thing that breaks a rule."""
    return members(
        found,
        "rule id user path line why doubt",
        rule=rule,
        id=found.kind.id,
        user=found.user or None,
        path=found.path or None,
    )


def _violation(found: Violation) -> Json:
    """One thing that breaks a rule."""
    return members(found, "rule user path line why")
