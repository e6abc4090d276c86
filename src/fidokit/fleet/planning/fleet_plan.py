"""The plan of a fleet: one host after the other, so that memory does not grow with audits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from itertools import chain
from operator import attrgetter

from fidokit.fleet.hosts.audit import HostAudit
from fidokit.fleet.hosts.destinations import host_name
from fidokit.fleet.planning.actions import ActionKind, FleetPlan, HostPlan, PlanAction
from fidokit.fleet.planning.host_plan import HostPlanner
from fidokit.fleet.policy.proofs import KeyProofs
from fidokit.fleet.policy.values import FleetPolicy


def plan_fleet(
    policy: FleetPolicy,
    audits: Iterable[HostAudit],
    *,
    today: date,
    proofs: KeyProofs | None = None,
) -> FleetPlan:
    """What differs between a policy and the hosts, and what would end the difference.

    Args:
        policy: as `read_policy` gives it; with `prove_keys`, keys that attestations prove.
        audits: one for each host; taken one at a time, and none is kept.
        today: for what expires.
        proofs: from `prove_keys`; without it no key's model is proved.

    Returns:
        The plan; hosts that the policy names and that have no audit are in doubt.
    """
    planner = HostPlanner(policy, proofs or KeyProofs(), today)
    seen: set[str] = set()
    plans = chain(_audited(planner, audits, seen), _missing(policy, seen))
    return FleetPlan(tuple(sorted(plans, key=attrgetter("host"))))


def _audited(
    planner: HostPlanner, audits: Iterable[HostAudit], seen: set[str]
) -> Iterator[HostPlan]:
    for audit in audits:
        seen.add(host_name(audit.host).lower())
        yield planner.plan(audit)


def _missing(policy: FleetPolicy, seen: set[str]) -> Iterator[HostPlan]:
    """The hosts that a policy names without a pattern, and that nobody audited."""
    for host in policy.named_hosts:
        if host not in seen:
            why = "the policy names this host, and there is no audit of it"
            how = "give an audit of it, or name it to have it checked now"
            yield HostPlan(host, (PlanAction(ActionKind.DOUBT, why, find_out=how),))
