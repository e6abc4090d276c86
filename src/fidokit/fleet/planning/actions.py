"""A plan as values: what is to be done on each host, and what cannot be known about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class ActionKind(StrEnum):
    """What a step of a plan is."""

    AUTHORIZE = "authorize"
    """Let a key into an account, or give its line the options that the policy demands."""
    REVOKE = "revoke"
    """Take a key out of an account."""
    HARDEN = "harden"
    """Tighten sshd by `server harden`."""
    CONFLICT = "conflict"
    """What the policy demands is not so, and no step of a plan can bring it about."""
    DOUBT = "doubt"
    """It cannot be known whether what the policy demands is so."""


@dataclass(frozen=True, slots=True)
class PlanAction:
    """One step on one host; texts of a host are hostile.

    Attributes:
        kind: see `ActionKind`.
        why: half a sentence.
        account: whose authorized keys; empty for the whole host.
        fingerprint: of the key; empty if it is about none.
        owner: who has the key by the policy; empty if nobody.
        public_line: of a key to authorize; empty if the policy has its fingerprint alone, and the
            step needs the key first.
        expires: the first day on which the line must let nobody in any longer; None if it may stay.
        levels: of `server harden`, words with spaces between; empty for other kinds.
        path, line: where it stands on the host; empty and 0 if nowhere.
        find_out: how to find out what is in doubt, or what the step needs; else empty.
    """

    kind: ActionKind
    why: str
    account: str = ""
    fingerprint: str = ""
    owner: str = ""
    public_line: str = ""
    expires: date | None = None
    levels: str = ""
    path: str = ""
    line: int = 0
    find_out: str = ""


@dataclass(frozen=True, slots=True)
class HostPlan:
    """The steps on one host.

    Attributes:
        host: its name.
        actions: in the order in which they are safe: authorize, revoke, harden, then remarks.
        refused: why none of it may be done, half a sentence; else empty.
    """

    host: str
    actions: tuple[PlanAction, ...] = ()
    refused: str = ""

    def of(self, kind: ActionKind) -> tuple[PlanAction, ...]:
        """The steps of a kind."""
        return tuple(action for action in self.actions if action.kind is kind)


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What differs between a policy and the hosts.

    Attributes:
        hosts: one for each host, by name.
    """

    hosts: tuple[HostPlan, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing differs, and nothing is in doubt."""
        return not self.differing

    @property
    def differing(self) -> tuple[HostPlan, ...]:
        """The hosts on which something is to be done, or in doubt."""
        return tuple(plan for plan in self.hosts if plan.actions)

    @property
    def refused(self) -> tuple[HostPlan, ...]:
        """The hosts whose steps may not be done."""
        return tuple(plan for plan in self.hosts if plan.refused)

    def counts(self) -> Counter[ActionKind]:
        """How many steps there are of each kind, on all hosts."""
        return Counter(action.kind for plan in self.hosts for action in plan.actions)
