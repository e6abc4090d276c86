"""Where a key may be used, as `ssh-add -h` takes it: `[user@]host`, or `host>[user@]host`.

Source: ssh-add(1). Hosts are known by their keys, which come from known_hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fidokit.errors import UsageError
from fidokit.openssh.agent_constraints import Destination, Hop, KeySpec
from fidokit.openssh.lines.known_hosts import KnownHost, keys_of


def destinations(specs: Sequence[str], known: Sequence[KnownHost]) -> tuple[Destination, ...]:
    """The constraints that these words mean.

    Args:
        specs: as given with -h.
        known: the lines of known_hosts files.

    Raises:
        UsageError: words of another form, or a host whose key is not known.
    """
    return tuple(_destination(spec, known) for spec in specs)


def _destination(spec: str, known: Iterable[KnownHost]) -> Destination:
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
    return UsageError(f"{spec!r} is no destination", hint="write [user@]host, or host>[user@]host")


def _hop(user: str, host: str, known: Iterable[KnownHost]) -> Hop:
    keys = tuple(KeySpec(key, is_ca) for key, is_ca in keys_of(host, known))
    if not keys:
        raise UsageError(
            f"the host key of {host!r} is not known",
            hint="log in there once, or name a file that has it with -H",
        )
    return Hop(user, host, keys)
