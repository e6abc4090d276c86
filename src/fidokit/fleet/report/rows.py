"""What a fleet's report keeps of one host: who gets in by what, and what was found; no more.

A host's own report has 1.5 KB for each account; 10,000 of them would not fit into memory. All text
that comes from hosts is hostile, and cut where it is longer than anybody reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from fidokit.findings import KINDS
from fidokit.fleet.hosts.audit import HostAudit, HostState
from fidokit.fleet.hosts.document import keys_of

_LONGEST: Final = 200
_MOST_TROUBLES: Final = 1000
"""Of one host: its own `server check` lists more."""


class EntryWay(StrEnum):
    """By what somebody gets into an account."""

    TOKEN = "token-key"  # noqa: S105  a way in
    FILE = "file-key"
    CERTIFICATE = "certificate"
    PASSWORD = "password"  # noqa: S105  a way in
    UNKNOWN = "unknown"


class FleetLogin(NamedTuple):
    """A way into an account of a host.

    Attributes:
        account: the user's name there.
        way: by what.
        fingerprint, type, comment: of the key or authority; empty for other ways.
        touch, verify: whether sshd demands it at each login; None if the key is not on a token.
        options: names of what stands before the key, such as `from`.
    """

    account: str
    way: EntryWay
    fingerprint: str = ""
    type: str = ""
    comment: str = ""
    touch: bool | None = None
    verify: bool | None = None
    options: tuple[str, ...] = ()


class HostTrouble(NamedTuple):
    """A finding of one host: an error, a warning, or whatever breaks a rule.

    Attributes:
        id: as in docs/findings.md.
        severity: error, warning or note.
        message: one line.
        account, path, line: what it is about; empty and None if it is about none.
        rules: those that it breaks.
        doubt: it cannot be known.
    """

    id: str
    severity: str
    message: str
    account: str = ""
    path: str = ""
    line: int | None = None
    rules: tuple[str, ...] = ()
    doubt: bool = False


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host in the report of a fleet.

    Attributes:
        host: as the user calls it.
        state: what became of it.
        problem: why nothing is known about it; empty if it was checked.
        seconds: how long it took.
        checked_at: when, in seconds since 1970; 0 if it was not checked.
        accounts: how many there are.
        logins: every way in.
        troubles: what was found.
        more_troubles: how many more were found.
        holds: whether the rules that were stated for it hold; False if it was not checked.
    """

    host: str
    state: HostState
    problem: str = ""
    seconds: float = 0.0
    checked_at: int = 0
    accounts: int = 0
    logins: tuple[FleetLogin, ...] = ()
    troubles: tuple[HostTrouble, ...] = ()
    more_troubles: int = 0
    holds: bool = False

    @property
    def checked(self) -> bool:
        """Whether anything is known about it."""
        return self.state is HostState.CHECKED


class RowMaker:
    """Makes rows of audits; equal texts of all hosts are one object in memory."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def row(self, audit: HostAudit, now: float) -> HostRow:
        """What the report keeps of a host.

        Args:
            now: the time, in seconds since 1970.
        """
        if audit.document is None:
            problem = self._text(audit.problem)
            return HostRow(audit.host, audit.state, problem, round(audit.seconds, 2))
        document = audit.document
        troubles = [
            one for one in document["findings"] if one["severity"] != "note" or one["rules"]
        ]
        return HostRow(
            audit.host,
            audit.state,
            "",
            round(audit.seconds, 2),
            int(now),
            len(document["users"]),
            tuple(dict.fromkeys(self._logins(document))),
            tuple(self._trouble(one) for one in troubles[:_MOST_TROUBLES]),
            max(len(troubles) - _MOST_TROUBLES, 0),
            document["policy"]["holds"],
        )

    def _logins(self, document: Mapping[str, Any]) -> Iterator[FleetLogin]:
        ways = document["ways"]
        password, unknown = set(ways["password"]), set(ways["unknown"])
        for user in document["users"]:
            account = self._text(user["user"])
            if user["user"] in password:
                yield FleetLogin(account, EntryWay.PASSWORD)
            if user["user"] in unknown:
                yield FleetLogin(account, EntryWay.UNKNOWN)
            for key in keys_of(user):
                if not key["refused"]:
                    yield self._login(account, key)

    def _login(self, account: str, key: Mapping[str, Any]) -> FleetLogin:
        way = EntryWay.TOKEN if key["hardware"] else EntryWay.FILE
        return FleetLogin(
            account,
            EntryWay.CERTIFICATE if key["authority"] else way,
            self._text(key["fingerprint"]),
            self._text(key["type"]),
            self._text(key["comment"]),
            key["touch_required"],
            key["verify_required"],
            tuple(self._text(option["name"]) for option in key["options"][:20]),
        )

    def _trouble(self, found: Mapping[str, Any]) -> HostTrouble:
        # the message names the key; another host's words for an id that we know are not needed
        return HostTrouble(
            self._text(found["id"]),
            self._text(found["severity"]),
            self._text(found["message"]),
            self._text(found["user"] or ""),
            self._text(found["path"] or ""),
            found["line"],
            tuple(map(self._text, found["rules"])),
            found["doubt"] or KINDS[found["id"]].doubt,
        )

    def _text(self, text: str) -> str:
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
        return self._known.setdefault(text, text)
