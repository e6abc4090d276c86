"""A first policy, from what audits show; it is read back and held against them before it counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from fidokit.errors import FidokitError, UsageError
from fidokit.files import atomic
from fidokit.files.keyfile import check_free
from fidokit.files.scan import find_keys
from fidokit.fleet.hosts.audit import HostAudit
from fidokit.fleet.planning.actions import ActionKind, FleetPlan
from fidokit.fleet.planning.fleet_plan import plan_fleet
from fidokit.fleet.policy.draft import PolicyDraft
from fidokit.fleet.policy.reading import parse_policy
from fidokit.fleet.policy.values import FleetPolicy
from fidokit.fleet.policy.writing import policy_text
from fidokit.inventory.kept import Inventory
from fidokit.inventory.store import kept_inventory


@dataclass(frozen=True, slots=True)
class BegunPolicy:
    """A policy that was written.

    Attributes:
        path: the file.
        policy: as it was read back.
        plan: of the same audits; it differs by nothing but doubts.
        left_out: hosts without an audit, and why.
    """

    path: Path
    policy: FleetPolicy
    plan: FleetPlan
    left_out: dict[str, str]

    @property
    def doubts(self) -> int:
        """What the audits themselves leave in doubt."""
        return self.plan.counts()[ActionKind.DOUBT]


def begin_policy(
    audits: Iterable[HostAudit],
    path: Path,
    *,
    today: date,
    key_folders: Iterable[Path] = (),
    inventory: Inventory | None = None,
    force: bool = False,
) -> BegunPolicy:
    """Write a policy of what is there now.

    Args:
        audits: iterated twice, so not an iterator; one at a time.
        path: where to.
        today: for what expires.
        key_folders: where public lines of keys are looked for, which audits do not show.
        inventory: what is kept about keys and their tokens; None for nothing.
        force: replace a file that is there.

    Raises:
        WouldOverwrite: the file is there, and `force` is not given.
        UsageError: no host was audited.
        FidokitError: the file cannot be written.
    """
    check_free(path, force=force)
    draft = PolicyDraft()
    for audit in audits:
        draft.add(audit)
    if not draft.blocks:
        why = next(iter(draft.left_out.values()), "there is none")
        raise UsageError(f"no audit of a host can be used: {why}", hint="see docs/fleet.md")
    draft.add_own(found.line for found in find_keys(key_folders))
    if inventory is not None:
        draft.add_inventory(inventory)
    data = policy_text(draft).encode("utf-8", "surrogateescape")
    policy = parse_policy(data, str(path))
    plan = _held(policy, (one for one in audits if one.host not in draft.left_out), today)
    write = atomic.replace if force else atomic.write_new
    write(path, data, atomic.PUBLIC_MODE)
    return BegunPolicy(path, policy, plan, draft.left_out)


def _held(policy: FleetPolicy, audits: Iterable[HostAudit], today: date) -> FleetPlan:
    """The plan of the same audits.

    Raises:
        FidokitError: it would change something, so the policy is not what is there now.
    """
    plan = plan_fleet(policy, audits, today=today)
    for host in plan.hosts:
        for action in host.actions:
            if action.kind is not ActionKind.DOUBT:
                raise FidokitError(
                    f"the policy would not be what is there now: on {host.host} it would "
                    f"{action.kind} {action.fingerprint or action.levels}: {action.why}",
                    hint="audit the hosts again, all at once",
                )
    return plan


def what_is_kept() -> Inventory:
    """The kept inventory of this user.

    Raises:
        MalformedFile, NoPermission: it cannot be read.
    """
    return kept_inventory().read()
