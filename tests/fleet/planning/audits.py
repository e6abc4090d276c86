"""Audits of hosts that nobody has: the JSON of `server check`, as its reader accepts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fidokit.fleet.hosts.audit import HostAudit, HostState

Key = Mapping[str, Any]


def key_line(
    fingerprint: str,
    *,
    hardware: bool = True,
    authority: bool = False,
    refused: str = "",
    expires: str = "",
    comment: str = "",
) -> dict[str, Any]:
    """A line with a key; `line` is added by `account`."""
    return {
        "type": "ED25519-SK" if hardware else "ED25519",
        "bits": 256,
        "fingerprint": fingerprint,
        "comment": comment,
        "duplicate_of": None,
        "hardware": None if authority else hardware,
        "touch_required": True if hardware else None,
        "verify_required": False if hardware else None,
        "authority": authority,
        "strength": "good",
        "options": [{"name": "expiry-time", "value": expires}] if expires else [],
        "refused": [refused] if refused else [],
        "violates": [],
    }


def account(
    name: str,
    lines: Iterable[Key] = (),
    *,
    path: str = "",
    unknown: str = "",
    hidden: str = "",
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """One of `users`, with one file."""
    file = {
        "path": path or f"/home/{name}/.ssh/authorized_keys",
        "refused": [],
        "hidden": hidden,
        "warnings": [],
        "violations": [],
        "lines": [{"line": at, **line} for at, line in enumerate(lines, 1)],
    }
    return {
        "user": name,
        "uid": 1000,
        "home": f"/home/{name}",
        "refused": [],
        "password_login": False,
        "password_why": "the password is locked",
        "settings": dict(settings or {}),
        "notes": [],
        "violations": [],
        "unknown": unknown,
        "files": [file],
    }


def finding(
    message: str,
    *rules: str,
    user: str | None = None,
    path: str | None = None,
    line: int | None = None,
    doubt: bool = False,
    steps: Sequence[str] = (),
) -> dict[str, Any]:
    """One of `findings`."""
    return {
        "id": "FK404" if doubt else "FK101",
        "title": "a title",
        "severity": "warning",
        "message": message,
        "why": message,
        "user": user,
        "path": path,
        "line": line,
        "key": None,
        "rules": list(rules),
        "doubt": doubt,
        "settings": [],
        "next": list(steps),
    }


def document(
    users: Sequence[Mapping[str, Any]] = (),
    *,
    require: Sequence[str] = (),
    findings: Sequence[Mapping[str, Any]] = (),
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A whole report."""
    lines = [(u["user"], line) for u in users for f in u["files"] for line in f["lines"]]
    ways: dict[str, list[str]] = {way: [] for way in ("token-key", "file-key", "certificate")}
    for user, line in lines:
        way = "certificate" if line["authority"] else "file-key"
        way = "token-key" if line["hardware"] else way
        if not line["refused"] and user not in ways[way]:
            ways[way].append(user)
    broken = [
        {"rule": rule, "id": one["id"], "user": one["user"], "path": None, "line": None}
        for one in findings
        for rule in one["rules"]
    ]
    return {
        "schema": 1,
        "server": {"settings": dict(settings or {}), "notes": []},
        "users": list(users),
        "findings": list(findings),
        "ways": {**ways, "password": [], "unknown": []},
        "tally": {
            "users": len(users),
            "by_password": [],
            "keys": len(lines),
            "on_tokens": sum(bool(line["hardware"]) for _, line in lines),
            "weak": 0,
            "refused": sum(bool(line["refused"]) for _, line in lines),
            "duplicates": 0,
            "unreadable": 0,
        },
        "policy": {"require": list(require), "holds": not broken, "violations": broken},
    }


def audited(host: str, *users: Mapping[str, Any], **parts: Any) -> HostAudit:
    """A host that was checked."""
    return HostAudit(host, HostState.CHECKED, document(users, **parts))
