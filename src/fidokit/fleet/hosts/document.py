"""The report of one host, read as the hostile text that it is: its shape, its size, its own sums.

A host can always lie about itself in a way that nobody can see from here. What it cannot do is send
something that no audit writes: other JSON, another schema, members of other types, or sums that
its own lines contradict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn

from fidokit.errors import Malformed
from fidokit.findings import KINDS, Severity

SCHEMA: Final = 1
"""Of the JSON of `server check` (docs/json.md)."""

_BYTES_A_VALUE: Final = 5
"""A report has more bytes for each of its values; JSON with less is made to fill memory."""

_FINGERPRINT: Final = re.compile(r"(SHA256:[A-Za-z0-9+/]{43})?")
_HARDWARE: Final = re.compile(r".*-SK(-CERT)?|(webauthn-)?sk-.*", re.DOTALL)
"""Types of keys on tokens, as ssh-keygen and as sshd call them."""

TRUTH: Final = (bool, type(None))
TEXT: Final = (str, type(None))
Shape = Any
"""A type or a tuple of them; a mapping of members to shapes; `[shape]` for an array of such."""

_OPTION: Final = {"name": str, "value": TEXT}
_VIOLATION: Final = {"rule": str, "why": str}
_KEY: Final = {
    "line": int,
    "type": str,
    "bits": int,
    "fingerprint": str,
    "comment": str,
    "hardware": TRUTH,
    "touch_required": TRUTH,
    "verify_required": TRUTH,
    "authority": bool,
    "strength": str,
    "options": [_OPTION],
    "refused": [str],
    "violates": [_VIOLATION],
}
_UNREADABLE: Final = {"line": int, "unreadable": str, "violates": [_VIOLATION]}
_FILE: Final = {"path": str, "refused": [str], "hidden": str, "warnings": [str], "lines": list}
_USER: Final = {
    "user": str,
    "uid": int,
    "home": str,
    "refused": [str],
    "password_login": bool,
    "password_why": str,
    "unknown": str,
    "files": [_FILE],
}
_FINDING: Final = {
    "id": str,
    "title": str,
    "severity": str,
    "message": str,
    "user": TEXT,
    "path": TEXT,
    "line": (int, type(None)),
    "key": TEXT,
    "rules": [str],
    "doubt": bool,
    "next": [str],
}
_SEVERITIES: Final = frozenset(map(str, Severity))
_WAYS: Final = ("token-key", "file-key", "certificate", "password", "unknown")
_DOCUMENT: Final = {
    "server": {"settings": dict, "notes": [str]},
    "users": [_USER],
    "findings": [_FINDING],
    "ways": {way: [str] for way in _WAYS},
    "tally": {"users": int, "keys": int, "on_tokens": int, "refused": int, "unreadable": int},
    "policy": {"require": [str], "holds": bool, "violations": list},
}


def read_document(data: bytes, rules: Sequence[str] | None = ()) -> Mapping[str, Any]:
    """The report of one host.

    Args:
        data: what the host sent.
        rules: those that were asked of it; None if nobody here knows them.

    Raises:
        Malformed: it is not a report of an audit, or contradicts itself; the message may quote it.
    """
    document = _parsed(data)
    if document.get("schema") != SCHEMA:
        raise Malformed(f"its report has schema {document.get('schema')!r:.20}, not {SCHEMA}")
    _require(document, _DOCUMENT, "report")
    for file in (file for user in document["users"] for file in user["files"]):
        for line in file["lines"]:
            _require(line, _UNREADABLE if _is_unreadable(line) else _KEY, "line")
    for contradiction in _contradictions(document, rules):
        raise Malformed(f"its report contradicts itself: {contradiction}")
    return document


def keys_of(user: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The lines with a key of one of `users`, in a report that was read."""
    for file in user["files"]:
        yield from (line for line in file["lines"] if "unreadable" not in line)


# --- its shape -------------------------------------------------------------------------------


def _parsed(data: bytes) -> dict[str, Any]:
    values = sum(map(data.count, (b",", b"[", b"{")))
    if values * _BYTES_A_VALUE > len(data) + 1000:
        raise Malformed("its report is JSON that is made to fill memory")
    try:
        found = json.loads(data, object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"its report is not valid JSON: {str(error)[:80]}") from None
    if not isinstance(found, dict):
        raise Malformed("its report is not a JSON object")
    return found


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member stands twice in an object")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _is_unreadable(line: object) -> bool:
    return isinstance(line, dict) and "unreadable" in line


def _require(value: object, shape: Shape, where: str) -> None:
    """Members that are not in the shape may be there: nobody reads them."""
    if isinstance(shape, list):
        if not isinstance(value, list):
            raise Malformed(f"its report has no array for {where!r}")
        for one in value:
            _require(one, shape[0], where)
    elif isinstance(shape, dict):
        if not isinstance(value, dict):
            raise Malformed(f"its report has no object for {where!r}")
        for name, inner in shape.items():
            if name not in value:
                raise Malformed(f"its report has no {name!r} in {where!r}")
            _require(value[name], inner, name)
    elif not isinstance(value, shape) or (shape is int and not _is_count(value)):
        raise Malformed(f"its report has a wrong type of {where!r}")


def _is_count(value: Any) -> bool:
    return not isinstance(value, bool) and 0 <= value < 1 << 40


# --- its sums --------------------------------------------------------------------------------


def _contradictions(document: Mapping[str, Any], rules: Sequence[str] | None) -> Iterator[str]:
    users, tally, policy = document["users"], document["tally"], document["policy"]
    names = {user["user"] for user in users}
    if len(names) != len(users) or tally["users"] != len(users):
        yield "its users are not as many as it counts, or one is there twice"
    if rules is not None and policy["require"] != list(dict.fromkeys(rules)):
        yield "it judges by other rules than it was asked for"
    broken = any(finding["rules"] for finding in document["findings"])
    if policy["holds"] == broken or bool(policy["violations"]) != broken:
        yield "its findings do not fit whether the rules hold"
    for finding in document["findings"]:
        if finding["id"] not in KINDS or finding["severity"] not in _SEVERITIES:
            yield "it has findings that fidokit does not report"
    if not names.issuperset(name for way in _WAYS for name in document["ways"][way]):
        yield "it names users who are not among its users"
    yield from _of_keys(document)


def _of_keys(document: Mapping[str, Any]) -> Iterator[str]:
    ways: dict[str, set[str]] = {way: set() for way in ("token-key", "file-key", "certificate")}
    keys = on_tokens = 0
    for user in document["users"]:
        for key in keys_of(user):
            keys += 1
            on_tokens += bool(key["hardware"])
            if not _FINGERPRINT.fullmatch(key["fingerprint"]):
                yield "a fingerprint of a key is not one"
            if key["hardware"] and not _HARDWARE.fullmatch(key["type"]):
                yield f"a key of type {key['type'][:20]!r} cannot be on a token"
            if not key["refused"]:
                ways[_way(key)].add(user["user"])
    if (keys, on_tokens) != (document["tally"]["keys"], document["tally"]["on_tokens"]):
        yield "its keys are not as many as it counts"
    for way, found in ways.items():
        if found != set(document["ways"][way]):
            yield f"its lines do not fit who gets in by {way}"


def _way(key: Mapping[str, Any]) -> str:
    if key["authority"]:
        return "certificate"
    return "token-key" if key["hardware"] else "file-key"
