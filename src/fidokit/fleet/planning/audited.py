"""Who gets in on one host by which key, from the JSON of its audit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_EXPIRY: Final = "expiry-time"
_DAY: Final = len("20270101")
_UNSEEN: Final = {
    "trustedusercakeys": "sshd trusts authorities, whose certificates cannot be listed",
    "authorizedkeyscommand": "a program names keys, which cannot be listed",
}


@dataclass(frozen=True, slots=True)
class AuditedKey:
    """A line with a key.

    Attributes:
        fingerprint: `SHA256:...`.
        path, line: where it stands.
        hardware: on a token; None for an authority, whose keys nobody sees.
        authority: its line has cert-authority.
        refused: why sshd does not take it; empty if it does.
        expires: eight digits of a day that its expiry-time names; empty if there is none.
    """

    fingerprint: str
    path: str
    line: int
    hardware: bool | None
    authority: bool
    refused: str
    expires: str


@dataclass(slots=True)
class AuditedAccount:
    """An account of a host.

    Attributes:
        name: hostile text.
        keys: the lines of all its files.
        hidden: why its keys are not all known; empty if they are.
    """

    name: str
    keys: list[AuditedKey] = field(default_factory=list)
    hidden: str = ""

    def gets_in_by(self, fingerprint: str) -> bool:
        """Whether sshd takes the key, by some line."""
        return any(
            key.fingerprint == fingerprint and not key.refused and not key.authority
            for key in self.keys
        )


def audited_accounts(document: Mapping[str, Any]) -> dict[str, AuditedAccount]:
    """The accounts of a host, by name.

    Args:
        document: of `server check`, its shape verified.
    """
    return {user["user"]: _account(user) for user in document["users"]}


def _account(user: Mapping[str, Any]) -> AuditedAccount:
    found = AuditedAccount(user["user"], hidden=user["unknown"])
    for file in user["files"]:
        found.hidden = found.hidden or file["hidden"]
        why = "; ".join([*user["refused"], *file["refused"]])
        for line in file["lines"]:
            if "unreadable" not in line:
                found.keys.append(_key(line, file["path"], why))
    return found


def _key(line: Mapping[str, Any], path: str, why: str) -> AuditedKey:
    expires = next((one["value"] for one in line["options"] if one["name"].lower() == _EXPIRY), "")
    return AuditedKey(
        line["fingerprint"],
        path,
        line["line"],
        line["hardware"],
        line["authority"],
        why or "; ".join(line["refused"]),
        (expires or "")[:_DAY],
    )


def unseen_keys(document: Mapping[str, Any]) -> list[str]:
    """Why there may be keys that the audit does not list, half a sentence each."""
    settings = document["server"]["settings"]
    found = [why for name, why in _UNSEEN.items() if _is_set(settings.get(name))]
    for user in document["users"]:
        own = user.get("settings", {})
        found += [why for name, why in _UNSEEN.items() if _is_set(own.get(name))]
    return list(dict.fromkeys(found))


def _is_set(value: object) -> bool:
    return bool(value) and value != "none"
