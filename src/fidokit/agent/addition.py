"""Resident keys straight into an agent, as `ssh-add -K`: no file is written.

An agent says no more than "failure". What it does not like is found out with a key that nobody has
(random bytes), so that the real one is never held under fewer constraints than were asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.agent.hosts import destinations, known_hosts
from fidokit.errors import FidokitError, Unsupported
from fidokit.inventory import KeyRow
from fidokit.keys.resident_keys import credential_of, label_of, list_keys, resolve
from fidokit.openssh import agent_messages, wire
from fidokit.openssh.agent_constraints import Constraints
from fidokit.openssh.keys.private import SkPrivate
from fidokit.openssh.keys.public import SkEd25519Public
from fidokit.provider.library import trusted_provider
from fidokit.types import Application, KeyHandle, SkFlag

if TYPE_CHECKING:
    from fidokit.agent_client import AgentClient
    from fidokit.client.session import Session

INTERNAL: Final = "internal"
OURS: Final = "fidokit"
PROVIDER_VARIABLE: Final = "SSH_SK_PROVIDER"


@dataclass(frozen=True, slots=True)
class AddOptions:
    """How keys are added.

    Args:
        selectors: which keys (`resolve`); all when empty.
        lifetime: seconds, None for as long as the agent has them.
        confirm: whether the agent asks before each use.
        hosts: where they may be used, as `ssh-add -h` takes it; empty for anywhere.
        known_hosts: files with the keys of these hosts; the usual ones when empty.
        provider: what talks to the token, "internal", "fidokit" for our library, or another one;
            None takes SSH_SK_PROVIDER, then "internal", as ssh-add does.
        remember: as `list_keys`.
    """

    selectors: Sequence[str] = ()
    lifetime: int | None = None
    confirm: bool = False
    hosts: Sequence[str] = ()
    known_hosts: Sequence[Path] = ()
    provider: str | None = None
    remember: bool | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one key: `error` is None, or says what the agent did not like."""

    row: KeyRow
    comment: str
    error: FidokitError | None = None


def add_to_agent(session: Session, agent: AgentClient, options: AddOptions) -> Iterator[Added]:
    """Put resident keys of an open token into an agent, one result a key as it is done.

    Raises:
        UsageError: a destination that cannot be read or is not known, or an ambiguous selector.
        What listing the keys raises. What the agent refuses is a result, not an error.
    """
    limits = _constraints(options)
    rows = list_keys(session, only_token=True, search_home=False, remember=options.remember)
    if options.selectors:
        chosen = [resolve(selector, rows) for selector in options.selectors]
        rows = list({row.credential_id: row for row in chosen}.values())
    for row, comment in zip(rows, _comments(rows), strict=True):
        yield Added(row, comment, _add(agent, row, comment, limits))


def _constraints(options: AddOptions) -> Constraints:
    known = known_hosts(options.known_hosts) if options.hosts else []
    provider = options.provider or os.environ.get(PROVIDER_VARIABLE) or INTERNAL
    if provider == OURS:
        provider = str(trusted_provider())
    return Constraints(
        options.lifetime, options.confirm, provider, destinations(options.hosts, known)
    )


def _comments(rows: Sequence[KeyRow]) -> list[str]:
    """The keys' comments; those that two keys have get a part of the fingerprint."""
    plain = [label_of(credential_of(row)) for row in rows]
    return [
        f"{comment} {row.fingerprint[:15]}" if plain.count(comment) > 1 else comment
        for comment, row in zip(plain, rows, strict=True)
    ]


def _add(agent: AgentClient, row: KeyRow, comment: str, limits: Constraints) -> FidokitError | None:
    private = credential_of(row).private
    if private is None:
        return Unsupported(f"OpenSSH does not know the type of the key for {row.application!r}")
    if agent.accepts(agent_messages.encode_add(private.encode(), comment, limits)):
        return None
    return why_refused(agent, limits)


# --- what an agent does not like -----------------------------------------------------------


def why_refused(agent: AgentClient, limits: Constraints) -> FidokitError:
    """Find out why an agent took no key with these constraints."""
    dummy = _nobodys_key()
    tries = _Tries(agent, dummy.encode(), dummy.public_blob())
    if not tries.takes(Constraints()):
        plain = _nobodys_plain_key()
        blob = wire.text("ssh-ed25519") + plain[15:51]
        if _Tries(agent, plain, blob).takes(Constraints()):
            return Unsupported(
                "the agent does not know keys on tokens",
                hint="use ssh-agent of OpenSSH 8.2 or later, or `fidokit agent serve`",
            )
        return FidokitError(
            "the agent takes no keys at all: it is locked, or read-only",
            hint="unlock it with `ssh-add -X`",
        )
    for part, error in _PARTS:
        alone = part(limits)
        if alone != Constraints() and not tries.takes(alone):
            return error(limits)
    return FidokitError("the agent refused the key, and does not say why", hint="see its log")


_Part = Callable[[Constraints], Constraints]
_Reason = Callable[[Constraints], FidokitError]


def _provider_refused(limits: Constraints) -> FidokitError:
    if limits.provider == INTERNAL:
        return Unsupported(
            "the agent has no provider of its own for tokens",
            hint="name a library with --provider, which its allow list (ssh-agent -P) has",
        )
    return FidokitError(
        f"the agent does not allow the provider {limits.provider!r}",
        hint="copy ours to where it does with `fidokit provider install`; or start the agent with "
        "an allow list that has it: ssh-agent -P PATTERN; or say --provider internal",
    )


_PARTS: Final[Sequence[tuple[_Part, _Reason]]] = (
    (lambda limits: Constraints(provider=limits.provider), _provider_refused),
    (
        lambda limits: Constraints(lifetime=limits.lifetime),
        lambda _: Unsupported("the agent does not know lifetimes", hint="leave out -t"),
    ),
    (
        lambda limits: Constraints(confirm=limits.confirm),
        lambda _: Unsupported("the agent does not ask before each use", hint="leave out -c"),
    ),
    (
        lambda limits: Constraints(destinations=limits.destinations),
        lambda _: Unsupported(
            "the agent does not know destination constraints",
            hint="ssh-agent of OpenSSH 8.9 or later does, and so does `fidokit agent serve`",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class _Tries:
    """Puts a key that nobody has into the agent, and takes it out again."""

    agent: AgentClient
    fields: bytes
    blob: bytes

    def takes(self, limits: Constraints) -> bool:
        """Whether the agent holds a key under these constraints."""
        short = replace(limits, lifetime=1) if limits.lifetime is not None else limits
        taken = self.agent.accepts(agent_messages.encode_add(self.fields, "a try", short))
        if taken:
            self.agent.exchange(agent_messages.encode_remove(self.blob))
        return taken


def _nobodys_key() -> SkPrivate:
    """A key on a token that was never made."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    point = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    public = SkEd25519Public(point, Application("ssh:fidokit-try"))
    return SkPrivate(public, SkFlag.USER_PRESENCE_REQUIRED, KeyHandle(os.urandom(64)))


def _nobodys_plain_key() -> bytes:
    """An ordinary key whose secret is forgotten with this call: its fields."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    point = key.public_key().public_bytes_raw()
    secret = wire.string(key.private_bytes_raw() + point)
    return wire.text("ssh-ed25519") + wire.string(point) + secret
