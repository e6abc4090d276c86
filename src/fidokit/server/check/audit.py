"""Who can log in to this machine over ssh, and by what: everything that can be seen, in order.

A report is a stream: the server, then each user, the user's files and their lines. Files of any
length pass through; what is kept is one fingerprint a key, to find keys that are there twice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Protocol, Union

from fidokit.errors import FidokitError
from fidokit.server.accounts import Account
from fidokit.server.check import admission, login_methods
from fidokit.server.check.admission import LoginUser
from fidokit.server.check.key_lines import KeyLine, KeyPosition, UnreadableLine, read_lines
from fidokit.server.check.key_verdicts import KeyRules, rules_for
from fidokit.server.check.login_methods import PasswordWay
from fidokit.server.check.policy import CheckRule, Violation
from fidokit.server.key_paths import KeySource, opened_keys, path_of
from fidokit.server.sshd.config import OF_PLACES, OF_USERS
from fidokit.server.sshd.query import LoginOrigin
from fidokit.server.sshd.settings import SshdSettings

_NONE: Final = ("", "none")
_SUPERUSER: Final = 0


@dataclass(frozen=True)
class ServerReport:
    """What holds for all users; where Match blocks look at users, for none of them in particular.

    Attributes:
        settings: the effective ones.
        notes: sentences: what this report cannot see.
    """

    settings: SshdSettings
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class UserReport:
    """What holds for one user; the files follow.

    Attributes:
        account: hostile text in its name, home and shell.
        settings: effective for the user.
        refusals: why sshd lets nobody in as this user, or takes no key; empty where it does.
        password: whether a password alone is enough.
        notes: sentences: where keys may be that nobody here sees.
        violations: rules that no line breaks, but the user's settings.
        unknown: why nothing can be said; else empty.
    """

    account: Account
    settings: SshdSettings
    refusals: tuple[str, ...]
    password: PasswordWay
    notes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    unknown: str = ""


@dataclass(frozen=True)
class FileReport:
    """A user's file, if there is one; its lines follow.

    Attributes:
        user, path: hostile text.
        refusals: why sshd passes over it; empty where it reads it.
        hidden: why nobody here can read it; else empty.
        warnings: bad modes and owners that sshd does not look at: StrictModes is off.
        violations: of a file that is hidden.
    """

    user: str
    path: str
    refusals: tuple[str, ...] = ()
    hidden: str = ""
    violations: tuple[Violation, ...] = ()
    warnings: tuple[str, ...] = ()


CheckEvent = Union[  # noqa: UP007  Python 3.9 evaluates it
    ServerReport, UserReport, FileReport, KeyLine, UnreadableLine
]


class Asks(Protocol):
    """sshd, as far as this module needs it; see `sshd.query.Sshd`."""

    def settings(self, user: str | None = None, origin: LoginOrigin = ...) -> SshdSettings:
        """The effective settings, for a user where one is named."""


@dataclass
class Audit:
    """One look at a machine.

    Attributes:
        sshd: see `Asks`.
        origin: where logins come from.
        person: what sshd looks at in an account.
        criteria: what the configuration's Match blocks look at (`sshd.config.criteria`).
        rules: the policies to hold everything to.
        now: seconds since 1970.
    """

    sshd: Asks
    origin: LoginOrigin
    person: Callable[[Account], LoginUser]
    criteria: frozenset[str] = frozenset()
    rules: frozenset[CheckRule] = frozenset()
    now: float = 0.0
    _seen: dict[str, int] = field(default_factory=dict, repr=False)  # a place as one number
    _files: list[KeySource] = field(default_factory=list, repr=False)
    _owners: list[str] = field(default_factory=list, repr=False)

    def run(self, accounts: Iterable[Account]) -> Iterator[CheckEvent]:
        """The whole report.

        Raises:
            FidokitError: sshd does not tell its settings; see `sshd.query.Sshd.settings`.
        """
        ask = self._asker()
        general = ask(None)
        yield ServerReport(general, tuple(self._notes(general)))
        for account in accounts:
            yield from self._user(account, ask)

    def _asker(self) -> Callable[[str | None], SshdSettings]:
        """Asks sshd about a user, or once for all where no Match block looks at users."""
        by_user = bool(self.criteria & OF_USERS)
        once = cache(lambda user: self.sshd.settings(user, self.origin))
        return lambda user: once(user if by_user else None)

    def _notes(self, settings: SshdSettings) -> Iterator[str]:
        places = sorted(self.criteria & OF_PLACES)
        if places:
            yield (
                f"Match blocks look at {', '.join(places)}: this holds for logins from"
                f" {self.origin.addr}"
            )
        yield from _all_notes(settings)

    def _user(
        self, account: Account, ask: Callable[[str | None], SshdSettings]
    ) -> Iterator[CheckEvent]:
        try:
            settings = ask(account.name)
        except FidokitError as error:
            yield self._unknown(account, error.message)
            return
        report, rules = self._judge(account, settings)
        yield report
        for path in _paths(account, settings):
            strict = settings.is_on("strictmodes")
            with opened_keys(account, path, strict=strict) as source:
                if source is not None:
                    yield from self._file(account, source, rules)

    def _unknown(self, account: Account, why: str) -> UserReport:
        violations = tuple(Violation(rule, account.name, why) for rule in sorted(self.rules))
        way = PasswordWay(True, why)
        return UserReport(account, SshdSettings(), (), way, (), violations, unknown=why)

    def _judge(self, account: Account, settings: SshdSettings) -> tuple[UserReport, KeyRules]:
        person = self.person(account)
        turned_away = (*admission.refusals(person, settings, self.origin, self.now),)
        is_root = person.uid == _SUPERUSER
        rules = rules_for(
            settings, is_root=is_root, refusals=turned_away, rules=self.rules, now=self.now
        )
        way = login_methods.password_way(settings, person.shadow.password, is_root=is_root)
        if turned_away and way.possible:
            way = PasswordWay(False, turned_away[0])
        notes = tuple(_all_notes(settings))
        violations = tuple(self._violations(account.name, rules, way))
        return UserReport(account, settings, rules.refusals, way, notes, violations), rules

    def _violations(self, user: str, rules: KeyRules, way: PasswordWay) -> Iterator[Violation]:
        if way.possible and CheckRule.NO_PASSWORD in self.rules:
            yield Violation(CheckRule.NO_PASSWORD, user, way.why)
        if rules.refusals:
            return
        broken = rules.unseen().broken(self.rules)
        for source in _named(rules.settings, _UNSEEN):
            yield from (Violation(rule, user, f"{source}: {why}") for rule, why in broken)

    def _file(self, account: Account, source: KeySource, rules: KeyRules) -> Iterator[CheckEvent]:
        user, path = account.name, str(source.path)
        hidden = source.hidden and not rules.refusals
        about_keys = self.rules - {CheckRule.NO_PASSWORD}
        violations = [Violation(r, user, source.hidden, path) for r in sorted(about_keys) if hidden]
        yield FileReport(
            user, path, source.refusals, source.hidden, tuple(violations), source.warnings
        )
        if source.file is None:
            return
        self._files.append(source)
        self._owners.append(user)
        yield from self._lines(read_lines(source.file.read, rules.refusing(source.refusals)))

    def _lines(self, lines: Iterable[KeyLine | UnreadableLine]) -> Iterator[CheckEvent]:
        seen, file = self._seen.setdefault, (len(self._files) - 1) << _LINE_BITS
        for line in lines:
            if isinstance(line, KeyLine):
                mine = file + line.line
                first = seen(line.fingerprint, mine)
                if first != mine and (place := self._other(first, mine)):
                    yield line._replace(duplicate=place)
                    continue
            yield line

    def _other(self, first: int, mine: int) -> KeyPosition | None:
        """Where a key stood before; None where that is this very line, read for another user."""
        file, line = first >> _LINE_BITS, first & _ANY_LINE
        same_file = self._files[file].identity == self._files[mine >> _LINE_BITS].identity
        if same_file and line == mine & _ANY_LINE:
            return None
        return KeyPosition(self._owners[file], str(self._files[file].path), line)


_LINE_BITS: Final = 40
_ANY_LINE: Final = (1 << _LINE_BITS) - 1
_UNSEEN: Final[Mapping[str, str]] = {
    "authorizedkeyscommand": "AuthorizedKeysCommand gives keys that are not looked at here",
    "trustedusercakeys": "TrustedUserCAKeys lets in certificates that are not looked at here",
}
"""Where keys come from besides the files."""

_NOT_FOLLOWED: Final[Mapping[str, str]] = {
    "authorizedprincipalsfile": "AuthorizedPrincipalsFile says whose certificates get in",
    "authorizedprincipalscommand": "AuthorizedPrincipalsCommand says whose certificates get in",
    "revokedkeys": "RevokedKeys may keep out keys that are listed here as good",
}
"""What narrows who gets in, so that this report says too much rather than too little."""

_OTHER_WAYS: Final[Mapping[str, str]] = {
    "hostbasedauthentication": "HostbasedAuthentication lets in users of other machines",
    "gssapiauthentication": "GSSAPIAuthentication lets in holders of Kerberos tickets",
}


def _named(settings: SshdSettings, sentences: Mapping[str, str]) -> Iterator[str]:
    for keyword, sentence in sentences.items():
        value = settings.first(keyword, "none")
        if value.lower() not in _NONE:
            yield f"{sentence} ({value})"


def _all_notes(settings: SshdSettings) -> Iterator[str]:
    yield from _named(settings, _UNSEEN)
    yield from _named(settings, _NOT_FOLLOWED)
    yield from (said for keyword, said in _OTHER_WAYS.items() if settings.is_on(keyword))


def _paths(account: Account, settings: SshdSettings) -> Iterator[Path]:
    """The files that AuthorizedKeysFile names, each once; patterns as OpenSSH 10 reads them."""
    names = [path_of(account, name) for name in settings.key_files]
    found = {path: None for name in names for path in _matches(name)}
    return iter(found)


def _matches(path: Path) -> list[Path]:
    if not _PATTERN.intersection(str(path)) or os.path.lexists(path):
        return [path]
    return sorted(Path("/").glob(str(path).lstrip("/")))


_PATTERN: Final = frozenset("*?[")
