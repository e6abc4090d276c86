"""Hosts as JSON (docs/json.md), a host a line, so that 10,000 can be kept and read back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from fidokit.errors import MalformedFile
from fidokit.fleet.report.rows import FleetLogin, HostRow, HostTrouble

SCHEMA: Final = 1
HEAD: Final = f'{{"schema": {SCHEMA}, "fleet": {{'
HOSTS: Final = '"hosts": ['
END: Final = "\n ]"
_NONE: Final = HEAD + HOSTS + END
_BEGINS: Final = '{"host": '


class LoginName(NamedTuple):
    """What tells a way in from the others of its host."""

    account: str
    way: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class KeptHost:
    """A host as it was when it was checked last.

    Attributes:
        host: its name.
        checked_at: when, in seconds since 1970; 0 if never.
        logins: the ways in, each with the comment of its key.
    """

    host: str
    checked_at: int
    logins: Mapping[LoginName, str]


def login_name(login: FleetLogin) -> LoginName:
    """What tells a way in from the others of its host."""
    return LoginName(login.account, str(login.way), login.fingerprint)


def host_line(row: HostRow) -> str:
    """A host, in one line."""
    return json.dumps(
        {
            "host": row.host,
            "state": str(row.state),
            "problem": row.problem,
            "seconds": row.seconds,
            "checked_at": row.checked_at,
            "accounts": row.accounts,
            "holds": row.holds,
            "logins": list(map(_login, row.logins)),
            "troubles": list(map(_trouble, row.troubles)),
            "more_troubles": row.more_troubles,
        }
    )


def _login(login: FleetLogin) -> dict[str, object]:
    return {
        "account": login.account,
        "way": str(login.way),
        "fingerprint": login.fingerprint,
        "type": login.type,
        "comment": login.comment,
        "touch": login.touch,
        "verify": login.verify,
        "options": list(login.options),
    }


def _trouble(found: HostTrouble) -> dict[str, object]:
    return {
        "id": found.id,
        "severity": found.severity,
        "message": found.message,
        "account": found.account,
        "path": found.path,
        "line": found.line,
        "rules": list(found.rules),
        "doubt": found.doubt,
    }


# --- read back -------------------------------------------------------------------------------


def parse_hosts(data: bytes) -> dict[str, str]:
    """The lines of hosts by name, of a report of `fleet check --json` or of what is kept.

    Raises:
        MalformedFile: it is another file, or was laid out anew.
    """
    text = data.decode("utf-8", "replace")
    if data and not text.startswith(HEAD):
        raise MalformedFile("it is not a report of `fleet check --json`")
    found = {}
    for number, line in enumerate(text.split("\n"), 1):
        host = line.strip().rstrip(",")
        if host.startswith(_BEGINS):
            found[kept_host(host, number).host] = host
    if data and not found and not text.startswith(_NONE):
        raise MalformedFile("it has no line for a host, as fidokit writes them")
    return found


def kept_host(line: str, number: int = 0) -> KeptHost:
    """A host of one line.

    Raises:
        MalformedFile: the line is not as `host_line` writes it.
    """
    try:
        data = json.loads(line)
        logins = {_name(login): str(login["comment"]) for login in data["logins"]}
        return KeptHost(str(data["host"]), int(data["checked_at"]), logins)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise MalformedFile(f"line {number} does not describe a host") from None


def _name(login: Mapping[str, Any]) -> LoginName:
    return LoginName(str(login["account"]), str(login["way"]), str(login["fingerprint"]))


def encode_hosts(lines: Mapping[str, str]) -> bytes:
    """What is kept of hosts: their lines, sorted by name."""
    return "".join(_document(lines[name] for name in sorted(lines))).encode()


def _document(lines: Iterable[str]) -> Iterator[str]:
    yield HEAD + HOSTS
    before = "\n  "
    for line in lines:
        yield before + line
        before = ",\n  "
    yield END + "}}\n"
