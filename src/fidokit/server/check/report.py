"""Who can log in to this machine, by what, and whether that is what was meant."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.server import accounts
from fidokit.server.check.admission import people
from fidokit.server.check.audit import Audit, CheckEvent, FileReport, UserReport
from fidokit.server.check.key_lines import KeyLine, UnreadableLine
from fidokit.server.check.key_verdicts import Strength
from fidokit.server.check.policy import CheckRule, Violation
from fidokit.server.sshd import config
from fidokit.server.sshd.query import LoginOrigin, Sshd, find_sshd
from fidokit.system.host import run_program

DECISIVE_SETTINGS: Final = (
    "AuthenticationMethods",
    "PubkeyAuthentication",
    "PubkeyAuthOptions",
    "PubkeyAcceptedAlgorithms",
    "PasswordAuthentication",
    "KbdInteractiveAuthentication",
    "UsePAM",
    "PermitEmptyPasswords",
    "PermitRootLogin",
    "StrictModes",
    "RequiredRSASize",
    "AuthorizedKeysFile",
    "AuthorizedKeysCommand",
    "AuthorizedPrincipalsFile",
    "TrustedUserCAKeys",
    "RevokedKeys",
    "HostbasedAuthentication",
    "GSSAPIAuthentication",
)
"""The settings that decide who gets in, as sshd_config(5) spells and groups them."""


@dataclass(frozen=True)
class CheckRequest:
    """What to look at.

    Attributes:
        users: by name; all of the machine's where empty.
        rules: policies to hold every login to.
        sshd: the server's program; found where None.
        config: its configuration file; its own where None.
        connection: where logins come from, as `sshd -C` takes it (`host=NAME,addr=ADDRESS`, also
            laddr, lport, rdomain); from a stranger's address where empty.
    """

    users: Sequence[str] = ()
    rules: frozenset[CheckRule] = frozenset()
    sshd: str | None = None
    config: str | None = None
    connection: str = ""


def check_server(request: CheckRequest = CheckRequest()) -> Iterator[CheckEvent]:
    """Report on the server, its users, their files and keys, as a stream in that order.

    Lines of files follow the `FileReport` of their file, files their user. `CheckTally.watch`
    counts, and collects what breaks the rules. All text in it that is not ours is hostile.

    Raises, with the first of them:
        Unsupported: there is no sshd; MalformedFile: it does not take its configuration.
        NoPermission, FidokitError: it does not tell its settings.
        UsageError: there is no such user, or the connection makes no sense.
    """
    with ExitStack() as stack:

        @cache
        def spare_key() -> str | None:
            """A key that nobody else knows, for a question that wants one."""
            spare = f"{stack.enter_context(TemporaryDirectory(prefix='fidokit-'))}/host_key"
            made = run_program(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", spare])
            return None if made is None else spare

        named = ("-f", request.config) if request.config else ()
        origin = LoginOrigin.parse(request.connection) if request.connection else LoginOrigin()
        chosen = [accounts.account(name) for name in dict.fromkeys(request.users)]
        audit = Audit(
            Sshd(find_sshd(request.sshd), named, spare_key),
            origin,
            people(),
            config.criteria(request.config or str(config.DEFAULT)),
            request.rules,
            time.time(),
        )
        yield from audit.run(chosen or accounts.all_accounts())


@dataclass
class CheckTally:
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

    rules: frozenset[CheckRule] = frozenset()
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

    def watch(self, report: Iterator[CheckEvent]) -> Iterator[CheckEvent]:
        """Pass a report on, and count."""
        for event in report:
            if isinstance(event, KeyLine):
                self._count_key(event)
            else:
                self._count(event)
            yield event

    def _count_key(self, key: KeyLine) -> None:
        verdict = key.verdict
        self.keys += 1
        if verdict.hardware:
            self.on_tokens += 1
        if verdict.strength is Strength.WEAK:
            self.weak += 1
        if verdict.refusals:
            self.refused += 1
        if key.duplicate:
            self.duplicates += 1
        if verdict.violates:
            self._add(key.line, verdict.violates)

    def _count(self, event: CheckEvent) -> None:
        if isinstance(event, UnreadableLine):
            self.unreadable += 1
            self._add(event.line, event.violates)
        elif isinstance(event, UserReport):
            self.users += 1
            self._user = event.account.name
            if event.password.possible:
                self.by_password.append(event.account.name)
            self.violations += event.violations
        elif isinstance(event, FileReport):
            self._path = event.path
            self.violations += event.violations

    def _add(self, line: int, violates: Sequence[tuple[CheckRule, str]]) -> None:
        self.violations += [
            Violation(rule, self._user, why, self._path, line) for rule, why in violates
        ]
