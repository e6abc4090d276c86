"""Whether a key gets in that has to, whatever happens to other ways: the rule `break-glass`.

It holds where the installed sshd accepts the key for the user, asked by a throw-away instance, and
nothing else is wanted for a login that can do something: no second method, no PIN or touch that
nobody here has seen the key give, no command of the line's own. Everything else is broken, or
cannot be known.
"""

from __future__ import annotations

import os
import re
from binascii import Error as BinasciiError
from binascii import a2b_base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from fidokit import findings as kinds
from fidokit.errors import FidokitError
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.lines.key_stream import bounded_lines
from fidokit.server.accounts import Account
from fidokit.server.check import login_methods
from fidokit.server.check.audit import CheckEvent, FileReport, UserReport
from fidokit.server.check.findings.finding import CheckFinding
from fidokit.server.check.key_lines import KeyLine
from fidokit.server.check.policy import BreakGlass
from fidokit.server.key_paths import opened_keys
from fidokit.server.sshd.key_questions import KeyQuestion, PublicText
from fidokit.server.sshd.query import LoginOrigin, Sshd
from fidokit.server.sshd.trial import Trial, bench, environment


class Acceptance(NamedTuple):
    """Whether sshd accepts a key; None if it cannot be asked, for the reason `why`."""

    accepted: bool | None
    why: str = ""


Accepts = Callable[[str, str, str], Acceptance]
"""Asks for a user, a public line and its fingerprint."""

_BASE64: Final = re.compile(rb"([A-Za-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]{40,}={0,2})")
_MOST_PLACES: Final = 20
_PIN: Final = "sshd requires a PIN or fingerprint, and only a login can prove it"
_TOUCH: Final = (
    "sshd wants a touch, and whether the key asks its token for one only a login can show; with"
    " no-touch-required in its line the key gets in either way"
)


class _Place(NamedTuple):
    user: UserReport
    path: str
    key: KeyLine


@dataclass
class BreakGlassWatch:
    """Watches a report for one such key.

    Attributes:
        rule: which.
        accepts: see `Accepts`.
    """

    rule: BreakGlass
    accepts: Accepts
    _user: UserReport | None = field(default=None, init=False)
    _path: str = field(default="", init=False)
    _places: list[_Place] = field(default_factory=list, init=False)

    def see(self, event: CheckEvent) -> None:
        """Note where the key stands."""
        if isinstance(event, KeyLine):
            mine = event.fingerprint == self.rule.fingerprint and self._user is not None
            if mine and len(self._places) < _MOST_PLACES:
                self._places.append(_Place(self._user, self._path, event))  # type: ignore[arg-type]
        elif isinstance(event, FileReport):
            self._path = event.path
        elif isinstance(event, UserReport):
            wanted = not self.rule.user or event.account.name == self.rule.user
            self._user = event if wanted else None

    def finding(self) -> CheckFinding | None:
        """What is in the way; None if the key gets in."""
        found = []
        for place in self._places:
            why, doubt = self._judged(place)
            if not why:
                return None
            found.append(self._about(why, place)._replace(doubt=doubt))
        if not found:
            whose = self.rule.user or "anybody checked"
            return self._about(f"no file of {whose} has the key")
        return next((finding for finding in found if finding.doubt), found[0])

    def _judged(self, place: _Place) -> tuple[str, bool]:
        """Why the key does not get in, and whether that is doubtful; no reason if it does."""
        if refusal := _refusal(place):
            return refusal, False
        if place.key.verdict.verify:
            return _PIN, True
        if place.key.verdict.touch is not False and place.key.verdict.hardware is not False:
            return _TOUCH, True
        account = place.user.account
        line = public_text(account, place.path, place.key)
        if not line:
            return "the key is no longer there", True
        taken = self.accepts(account.name, line, place.key.fingerprint)
        if taken.accepted is None:
            return f"the installed sshd could not be asked: {taken.why}", True
        return ("", False) if taken.accepted else ("the installed sshd does not accept it", False)

    def _about(self, why: str, place: _Place | None = None) -> CheckFinding:
        return CheckFinding(
            kinds.BREAK_GLASS,
            why,
            place.user.account.name if place else self.rule.user,
            place.path if place else "",
            place.key.line if place else None,
            (str(self.rule),),
            key=self.rule.fingerprint,
            about=self.rule.fingerprint,
        )


def _refusal(place: _Place) -> str:
    """Why the key does not get in, or to nothing that helps."""
    verdict = place.key.verdict
    if verdict.refusals:
        return verdict.refusals[0]
    if verdict.is_authority:
        return "the key signs certificates there and does not log in"
    for settings in [view.settings for view in place.user.views] or [place.user.settings]:
        if not any(methods == (login_methods.KEY,) for methods in login_methods.lists(settings)):
            return "AuthenticationMethods asks for more than a key"
        if settings.first("forcecommand", "none") != "none":
            return "ForceCommand gives no shell"
    if any(option.name == "command" for option in verdict.options):
        return "the line runs a command of its own and gives no shell"
    return ""


def public_text(account: Account, path: str, key: KeyLine) -> str:
    """A key as its file has it, type and base64; empty if it is no longer there.

    Any key type will do, also one that nothing else here knows.
    """
    with opened_keys(account, Path(path), strict=False) as source:
        if source is None or source.file is None:
            return ""
        for number, raw in enumerate(bounded_lines(source.file.read), 1):
            if number == key.line:
                return next(_texts(raw, key.fingerprint), "")
    return ""


def _texts(raw: bytes, fingerprint: str) -> Iterator[str]:
    for found in _BASE64.finditer(raw):
        try:
            blob = a2b_base64(found[2])
        except BinasciiError:
            continue
        if sha256(blob) == fingerprint:
            yield f"{found[1].decode()} {found[2].decode()}"


def watched(
    events: Iterator[CheckEvent], watches: Sequence[BreakGlassWatch]
) -> Iterator[CheckEvent | CheckFinding]:
    """A report, and behind it what the watches found."""
    return _watched(events, watches) if watches else events


def _watched(
    events: Iterator[CheckEvent], watches: Sequence[BreakGlassWatch]
) -> Iterator[CheckEvent | CheckFinding]:
    for event in events:
        for watch in watches:
            watch.see(event)
        yield event
    for watch in watches:
        found = watch.finding()
        if found is not None:
            yield found


@dataclass
class ThrowAwaySshd:
    """Asks a throw-away instance of an sshd, which is started with the first question.

    Attributes:
        sshd: the one that is asked about.
        origin: where logins come from.
        stack: ends with the report.
    """

    sshd: Sshd
    origin: LoginOrigin
    stack: ExitStack
    _trial: Trial | None = field(default=None, init=False, repr=False)

    def accepts(self, user: str, line: str, fingerprint: str) -> Acceptance:
        """See `Accepts`; only root can ask for everybody."""
        if os.geteuid() != 0:
            return Acceptance(None, "only root can start one for others")
        try:
            if self._trial is None:
                made = self.stack.enter_context(bench())
                config = made.stage_original("sshd_config", self.sshd)
                self._trial = Trial(made, self.sshd.program, config, environment())
            key = PublicText(line, fingerprint)
            (answer,) = self._trial.ask(KeyQuestion(user, (key,), self.origin))
        except FidokitError as error:
            return Acceptance(None, error.message)
        return Acceptance(answer.accepted, answer.why)
