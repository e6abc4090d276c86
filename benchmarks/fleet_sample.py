"""A fleet that nobody has: a policy with many keys, and the audits of many hosts, as files."""

from __future__ import annotations

import base64
import hashlib
import json
from itertools import count
from pathlib import Path
from typing import Any

KEYS_EACH = 5
"""Keys of each of the people."""

OPERATORS = 2
"""People who get in as root on all hosts of a site."""

DEPLOYERS = 2
"""People who get in as deploy on one host, and on no other."""

SITES = 100
RULES = ("hardware", "no-password")
ODD = 10
"""Every how many hosts something differs, each time another thing."""

TYPES = ("ssh-ed25519", "sk-ssh-ed25519@openssh.com", "ecdsa-sha2-nistp256", "rsa-sha2-512")
SETTINGS = {
    "authenticationmethods": "any",
    "pubkeyauthentication": "yes",
    "pubkeyacceptedalgorithms": ",".join([*TYPES, *(f"{t}-cert-v01@openssh.com" for t in TYPES)]),
    "passwordauthentication": "no",
    "authorizedkeysfile": ".ssh/authorized_keys",
    "authorizedkeyscommand": "none",
    "trustedusercakeys": "none",
}


def fingerprint(name: str) -> str:
    """A fingerprint that nobody has a key for."""
    digest = hashlib.sha256(name.encode()).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def keys_of(person: int) -> list[str]:
    """The fingerprints of somebody's keys."""
    return [fingerprint(f"{person}.{number}") for number in range(KEYS_EACH)]


def host_name(number: int) -> str:
    """A host, with its site first."""
    return f"s{number % SITES:02}-{number:05}"


def operators(number: int) -> range:
    """Who gets in as root on a host: the same for all of its site."""
    return range(number % SITES * OPERATORS, (number % SITES + 1) * OPERATORS)


def deployers(number: int) -> range:
    """Who gets in as deploy on a host."""
    return range(number * DEPLOYERS, (number + 1) * DEPLOYERS)


def write_policy(path: Path, hosts: int) -> int:
    """Write a policy with a block for all hosts, for each site and for each host.

    Returns:
        How many keys there are in it.
    """
    people = max(hosts * DEPLOYERS, SITES * OPERATORS)
    with path.open("w") as file:
        for person in range(people):
            prints = ", ".join(f'"{one}"' for one in keys_of(person))
            file.write(f"[people.p{person}]\nkeys = [{prints}]\n")
        everywhere = f'match = ["*"]\nexclusive = true\nrequire = {json.dumps(RULES)}\n'
        file.write(f'[[hosts]]\n{everywhere}let-in = {{ root = ["p0"] }}\n')
        for site in range(SITES):
            file.write(_block(f"s{site:02}-*", "root", operators(site)))
        for number in range(hosts):
            file.write(_block(host_name(number), "deploy", deployers(number)))
    return people * KEYS_EACH


def _block(pattern: str, account: str, people: range) -> str:
    names = json.dumps([f"p{person}" for person in people])
    return f'[[hosts]]\nmatch = ["{pattern}"]\nlet-in = {{ {account} = {names} }}\n'


def write_audits(folder: Path, hosts: int) -> int:
    """Write an audit for each host.

    Returns:
        On how many of them something differs.
    """
    differing = 0
    for number in range(hosts):
        audit, differs = audit_of(number)
        (folder / f"{host_name(number)}.json").write_text(json.dumps(audit))
        differing += differs
    return differing


def audit_of(number: int) -> tuple[dict[str, Any], bool]:
    """The JSON of `server check` on one host, and whether it differs from the policy."""
    root = [key for person in (0, *operators(number)) for key in keys_of(person)]
    deploy = [key for person in deployers(number) for key in keys_of(person)]
    root = list(dict.fromkeys(root))
    odd = number // ODD % 4 if number % ODD == 0 else None
    findings: list[dict[str, Any]] = []
    if odd == 0:
        del deploy[0]
    elif odd == 1:
        root.append(fingerprint(f"stranger {number}"))
    elif odd == 2:
        findings.append(_finding("FK201", "by password", "no-password", doubt=False))
    elif odd == 3:
        findings.append(_finding("FK404", "a file cannot be read", "hardware", doubt=True))
    users = [_user(0, "root", root), _user(1000, "deploy", deploy)]
    return _document(users, findings), odd is not None


def _document(users: list[dict[str, Any]], findings: list[dict[str, Any]]) -> dict[str, Any]:
    keys = sum(len(user["files"][0]["lines"]) for user in users)
    broken = [
        {"rule": rule, **{name: one[name] for name in ("id", "user", "path", "line", "doubt")}}
        for one in findings
        for rule in one["rules"]
    ]
    ways = {"token-key": [u["user"] for u in users], "file-key": [], "certificate": []}
    return {
        "schema": 1,
        "server": {"settings": SETTINGS, "notes": []},
        "users": users,
        "findings": findings,
        "ways": {**ways, "password": [], "unknown": []},
        "tally": {
            "users": len(users),
            "by_password": [],
            "keys": keys,
            "on_tokens": keys,
            "weak": 0,
            "refused": 0,
            "duplicates": 0,
            "unreadable": 0,
        },
        "policy": {"require": list(RULES), "holds": not broken, "violations": broken},
    }


def _user(uid: int, name: str, keys: list[str]) -> dict[str, Any]:
    path = f"/home/{name}/.ssh/authorized_keys"
    lines = list(map(_line, count(1), keys))
    file = {"path": path, "refused": [], "hidden": "", "warnings": [], "violations": []}
    return {
        "user": name,
        "uid": uid,
        "home": f"/home/{name}",
        "refused": [],
        "password_login": False,
        "password_why": "the password is locked",
        "settings": SETTINGS,
        "notes": [],
        "violations": [],
        "unknown": "",
        "files": [{**file, "lines": lines}],
    }


def _line(number: int, key: str) -> dict[str, Any]:
    return {
        "line": number,
        "type": "ED25519-SK",
        "bits": 256,
        "fingerprint": key,
        "comment": f"somebody@laptop-{number}",
        "duplicate_of": None,
        "hardware": True,
        "touch_required": True,
        "verify_required": False,
        "authority": False,
        "strength": "good",
        "options": [],
        "refused": [],
        "violates": [],
    }


def _finding(kind: str, message: str, rule: str, *, doubt: bool) -> dict[str, Any]:
    return {
        "id": kind,
        "title": message,
        "severity": "warning",
        "message": message,
        "why": message,
        "user": "deploy",
        "path": None,
        "line": None,
        "key": None,
        "rules": [rule],
        "doubt": doubt,
        "settings": [],
        "next": ["look at it"],
    }
