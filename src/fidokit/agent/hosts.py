"""Hosts where keys are used: as `ssh-add -h` takes them, and by their keys in known_hosts.

Source: ssh-add(1); a destination is `[user@]host`, or `host>[user@]host`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fidokit.errors import FidokitError, UsageError
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.agent_constraints import Destination, Hop, KeySpec
from fidokit.openssh.certificates.certificate import Certificate, parse_key
from fidokit.openssh.lines.known_hosts import (
    LONGEST_FILE,
    KnownHost,
    hosts_of,
    keys_like,
    keys_of,
    parse_known_hosts,
)


def destinations(specs: Sequence[str], known: Sequence[KnownHost]) -> tuple[Destination, ...]:
    """The constraints that these words mean.

    Args:
        specs: as given with -h; a host may be a pattern with `*` and `?`.
        known: the lines of known_hosts files.

    Raises:
        UsageError: words of another form, or a host whose key is not known.
    """
    return tuple(_destination(spec, known) for spec in specs)


def _destination(spec: str, known: Sequence[KnownHost]) -> Destination:
    origin, arrow, target = spec.rpartition(">")
    user, _, host = target.rpartition("@")
    if not host or (arrow and not origin) or ">" in origin:
        raise _unreadable(spec)
    if "@" in origin:
        raise UsageError(
            f"{spec!r} names a user on the first host, and an agent cannot hold that",
            hint=f"leave the user out: -h '{origin.rpartition('@')[2]}>{target}'",
        )
    start = _hop("", origin, known) if origin else Hop()
    return Destination(start, _hop(user, host, known))


def _unreadable(spec: str) -> UsageError:
    return UsageError(
        f"{spec!r} is not a destination", hint="write [user@]host, or host>[user@]host"
    )


_WILD: Final = "*?"


def _hop(user: str, host: str, known: Sequence[KnownHost]) -> Hop:
    pattern = any(sign in host for sign in _WILD)
    found = keys_like(host, known) if pattern else keys_of(host, known)
    if found:
        return Hop(user, host, tuple(KeySpec(key, is_ca) for key, is_ca in found))
    if pattern and any(line.hashed for line in known):
        raise UsageError(
            f"no host is known that fits {host!r}, as far as known_hosts is not hashed",
            hint="hashed names fit no pattern: name the hosts in full",
        )
    raise UsageError(
        f"no host is known that fits {host!r}"
        if pattern
        else f"the host key of {host!r} is not known",
        hint="log in there once, or name a file that has it with -H",
    )


# --- by their keys, in known_hosts -----------------------------------------------------------


GLOBAL: Final = (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2"))


def known_hosts(files: Sequence[Path] = ()) -> list[KnownHost]:
    """What these files say; those that ssh looks into when none are named.

    A file that is not there, or cannot be read, says nothing.
    """
    lines: list[KnownHost] = []
    for path in files or default_files():
        try:
            text = read_bounded(path, LONGEST_FILE).decode("utf-8", "replace")
        except FidokitError:
            continue
        lines.extend(parse_known_hosts(text))
    return lines


def default_files() -> Sequence[Path]:
    """UserKnownHostsFile and GlobalKnownHostsFile, as ssh_config(5) has them without settings."""
    folder = Path.home() / ".ssh"
    return [folder / "known_hosts", folder / "known_hosts2", *GLOBAL]


def host_name(blob: bytes) -> str:
    """What the user's known_hosts call a host with this key; empty if they do not know it."""
    try:
        key = parse_key(blob)
    except FidokitError:
        return ""
    if isinstance(key, Certificate):
        return key.principals[0] if key.principals else ""
    return ", ".join(hosts_of(key, known_hosts())[:3])
