"""`server check` as JSON (docs/json.md): one document, written piece by piece, a key a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fidokit.cli.commands.server.check_words import SETTINGS
from fidokit.cli.render import SCHEMA

if TYPE_CHECKING:
    from fidokit.cli.render import Json
    from fidokit.server.check.report import (
        CheckEvent,
        CheckTally,
        CheckVerdict,
        FileReport,
        KeyLine,
        ServerReport,
        UnreadableLine,
        UserReport,
        Violation,
    )


def write(report: Iterable[CheckEvent], tally: CheckTally) -> None:
    """Write the document while the report comes; each part is whole before the next begins."""
    writer = _Writer()
    for event in report:
        writer.take(event)
    writer.close()
    end = {"tally": totals(tally), "policy": policy(tally)}
    print("".join(f",\n {json.dumps(name)}: {json.dumps(value)}" for name, value in end.items()))
    print("}")


class _Writer:
    """Knows which brackets are open: those of a user, of a file in it, and of its lines."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._first = True
        self._verdicts: dict[int, tuple[CheckVerdict, str]] = {}

    def take(self, event: CheckEvent) -> None:
        """Write one part."""
        from fidokit.server.check.report import (
            FileReport,
            KeyLine,
            ServerReport,
            UnreadableLine,
            UserReport,
        )

        match event:
            case KeyLine():
                self._item(self._key(event), "\n   ")
            case UnreadableLine():
                self._item(json.dumps(unreadable(event)), "\n   ")
            case FileReport():
                self._close_to(2)
                self._begin(file(event), '"lines": [', "\n  ")
            case UserReport():
                self._close_to(0)
                self._begin(user(event), '"files": [', "\n ")
            case ServerReport():
                sys.stdout.write(f'{{"schema": {SCHEMA},\n "server": {json.dumps(server(event))}')
                sys.stdout.write(',\n "users": [')

    def close(self) -> None:
        """Close what is open."""
        self._close_to(0)
        sys.stdout.write("]")

    def _item(self, text: str, indent: str) -> None:
        sys.stdout.write(f"{'' if self._first else ','}{indent}{text}")
        self._first = False

    def _begin(self, data: Json, inside: str, indent: str) -> None:
        self._item(f"{json.dumps(data)[:-1]}, {inside}", indent)
        self._open += ["}", "]"]
        self._first = True

    def _close_to(self, depth: int) -> None:
        while len(self._open) > depth:
            sys.stdout.write(self._open.pop())
            self._first = False

    def _key(self, key: KeyLine) -> str:
        """A key's object; what a verdict says of it is put into words once for many keys."""
        own = json.dumps(about(key))
        known = self._verdicts.get(id(key.verdict))
        if known is None or known[0] is not key.verdict:
            self._verdicts = {id(key.verdict): (key.verdict, json.dumps(verdict(key.verdict)))}
            known = self._verdicts[id(key.verdict)]
        return f"{own[:-1]}, {known[1][1:]}"


def server(report: ServerReport) -> Json:
    """What holds for all users."""
    return {"settings": settings(report), "notes": list(report.notes)}


def settings(report: ServerReport | UserReport) -> Json:
    """sshd's settings by their lower-case names; one that is repeated is a list."""
    found = {name.lower(): report.settings.values.get(name.lower(), ()) for name in SETTINGS}
    return {name: values[0] if len(values) == 1 else list(values) for name, values in found.items()}


def user(report: UserReport) -> Json:
    """One user; `files` follows."""
    way = report.password
    return {
        "user": report.account.name,
        "uid": report.account.uid,
        "home": str(report.account.home),
        "refused": list(report.refusals),
        "password_login": way.possible,
        "password_why": way.why,
        "settings": settings(report),
        "notes": list(report.notes),
        "violations": [violation(found) for found in report.violations],
        "unknown": report.unknown,
    }


def file(report: FileReport) -> Json:
    """One file; `lines` follows."""
    return {
        "path": report.path,
        "refused": list(report.refusals),
        "hidden": report.hidden,
        "warnings": list(report.warnings),
        "violations": [violation(found) for found in report.violations],
    }


def about(key: KeyLine) -> Json:
    """What a line alone says."""
    twin = key.duplicate
    return {
        "line": key.line,
        "type": key.type,
        "bits": key.bits,
        "fingerprint": key.fingerprint,
        "comment": key.comment,
        "duplicate_of": {"user": twin.user, "path": twin.path, "line": twin.line} if twin else None,
    }


def verdict(found: CheckVerdict) -> Json:
    """What many lines share."""
    return {
        "hardware": found.hardware,
        "touch_required": found.touch,
        "verify_required": found.verify,
        "authority": found.is_authority,
        "strength": str(found.strength),
        "options": [{"name": o.name, "value": o.value} for o in found.options],
        "refused": list(found.refusals),
        "violates": [{"rule": str(rule), "why": why} for rule, why in found.violates],
    }


def unreadable(line: UnreadableLine) -> Json:
    """A line without a key."""
    violates = [{"rule": str(rule), "why": why} for rule, why in line.violates]
    return {"line": line.line, "unreadable": line.reason, "violates": violates}


def totals(tally: CheckTally) -> Json:
    """Numbers."""
    return {
        "users": tally.users,
        "by_password": tally.by_password,
        "keys": tally.keys,
        "on_tokens": tally.on_tokens,
        "weak": tally.weak,
        "refused": tally.refused,
        "duplicates": tally.duplicates,
        "unreadable": tally.unreadable,
    }


def policy(tally: CheckTally) -> Json:
    """Whether the stated rules hold."""
    return {
        "require": sorted(map(str, tally.rules)),
        "holds": not tally.violations,
        "violations": [violation(found) for found in tally.violations],
    }


def violation(found: Violation) -> Json:
    """One thing that breaks a rule."""
    return {
        "rule": str(found.rule),
        "user": found.user,
        "path": found.path,
        "line": found.line,
        "why": found.why,
    }
