"""The JSON of `fleet plan` (docs/json.md): a host a line."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fidokit.cli.render import SCHEMA, Json
from fidokit.cli.schema import members
from fidokit.fleet.planning.actions import ActionKind, FleetPlan, HostPlan, PlanAction


def plan_document(plan: FleetPlan, policy: str) -> Iterator[str]:
    """The document in pieces.

    Args:
        policy: the name of the policy's file.
    """
    counts = plan.counts()
    head = {
        "policy": policy,
        "holds": plan.holds,
        "checked": len(plan.hosts),
        "counts": {str(kind): counts[kind] for kind in ActionKind},
    }
    yield f'{{"schema": {SCHEMA},\n "plan": {json.dumps(head)[:-1]}, "hosts": ['
    before = "\n  "
    for host in plan.differing:
        yield before + json.dumps(_host(host))
        before = ",\n  "
    yield "]}}\n"


def _host(host: HostPlan) -> Json:
    return {
        "host": host.host,
        "refused": host.refused or None,
        "actions": list(map(action_members, host.actions)),
    }


def action_members(action: PlanAction) -> Json:
    """A step as JSON."""
    return members(
        action,
        "kind why account key owner public_key expires levels path line find_out",
        account=action.account or None,
        key=action.fingerprint or None,
        owner=action.owner or None,
        public_key=action.public_line or None,
        expires=action.expires.isoformat() if action.expires else None,
        levels=action.levels.split(),
        path=action.path or None,
        line=action.line or None,
        find_out=action.find_out or None,
    )
