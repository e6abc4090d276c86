"""Resident keys straight into an agent, as `ssh-add -K`: no file is written.

An agent says no more than "failure". What it does not like is told by which agent it is and by the
extensions that it names, never by trying: the real key must not be held under fewer constraints
than were asked for, and a made-up one may stay for good.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.agent.hosts import destinations, known_hosts
from fidokit.errors import FidokitError, Unsupported
from fidokit.inventory.key_list import KeyRow
from fidokit.keys.resident_keys import credential_of, label_of, list_keys, resolve
from fidokit.openssh import agent_messages
from fidokit.openssh.agent_constraints import Constraints
from fidokit.provider.library import trusted_provider
from fidokit.system.ssh_agent import OURS_HOLDS_THEM, kind_of_agent

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

    A key goes with the certificates that the token keeps for it, but for those that have expired.

    Raises:
        UsageError: a destination that cannot be read or is not known, or an ambiguous selector.
        What listing the keys raises. What the agent refuses is a result, not an error.
    """
    limits = _constraints(options)
    rows = list_keys(
        session, only_token=True, search_home=False, remember=options.remember, certificates=[]
    )
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
    now = time.time()
    valid = [one for one in row.certificates if now < one.valid_before]
    for held in (private, *(private._replace(certificate=one) for one in valid)):
        if not agent.accepts(agent_messages.encode_add(held.encode(), comment, limits)):
            return why_refused(agent, limits)
    return None


# --- what an agent does not like -----------------------------------------------------------


def why_refused(agent: AgentClient, limits: Constraints) -> FidokitError:
    """Why an agent took no key with these constraints, as far as that can be told.

    No other key is tried: what an agent takes it may keep for good, as gpg-agent does on disk. What
    counts is which agent it is. The extensions that it names tell nothing: OpenSSH 10's ssh-agent
    names its messages alone, not the constraints that it takes.
    """
    kind = kind_of_agent(agent.path)
    if kind is not None:
        return Unsupported(
            f"{kind.name} cannot hold keys of tokens"
            if kind.refuses
            else f"{kind.name} refused the key; not every version takes keys of tokens",
            hint=f"use ssh-agent of OpenSSH 8.2 or later; {OURS_HOLDS_THEM}",
        )
    reasons = [reason.format(limits.provider) for holds, reason in _REASONS if holds(limits)]
    if not _shows_keys(agent):
        reasons.insert(0, "be locked (`ssh-add -X` unlocks it)")
    return FidokitError(
        "the agent refused the key without a reason",
        hint="it may " + "; or ".join(reasons),
    )


def _shows_keys(agent: AgentClient) -> bool:
    """Whether it lists any key, which a locked agent does not."""
    try:
        return bool(agent.keys())
    except FidokitError:
        return False


_Wanted = Callable[[Constraints], bool]

_REASONS: Final[Sequence[tuple[_Wanted, str]]] = (
    (lambda _: True, "take no keys of tokens, or no keys at all"),
    (
        lambda limits: limits.provider not in {None, INTERNAL},
        (
            "not have {0!r} on its allow list: `fidokit provider install` copies ours to where "
            "it is, or start it with ssh-agent -P PATTERN, or say --provider internal"
        ),
    ),
    (
        lambda limits: limits.provider == INTERNAL,
        "have no provider of its own: name a library with --provider",
    ),
    (lambda limits: limits.confirm, "have no way to ask before each use (-c)"),
    (
        lambda limits: bool(limits.destinations),
        "not know destinations (-h), as before OpenSSH 8.9",
    ),
)
"""What an agent that says nothing may not like, by what was asked of it."""
