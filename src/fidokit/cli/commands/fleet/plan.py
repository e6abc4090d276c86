"""`fidokit fleet plan`: what differs between a policy and the hosts."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli.commands.fleet.hosts import (
    host_options,
    named_hosts,
    named_or_of_policy,
    survey_of,
)
from fidokit.cli.commands.fleet.init import FROM_AUDIT, SAVED
from fidokit.cli.options import verb
from fidokit.cli.progress import Counter
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode

if TYPE_CHECKING:
    from fidokit.fleet.hosts.audit import HostAudit
    from fidokit.fleet.policy.values import FleetPolicy


@verb()
@host_options
@click.option("--from-audit", "audits", metavar="FILE", multiple=True, help=FROM_AUDIT)
@click.option(
    "--policy",
    metavar="FILE",
    default="policy.toml",
    help="The policy.  [default: policy.toml]",
)
@click.option("--long", "long_", is_flag=True, help="Show every step on every host.")
@click.pass_context
def plan(ctx: click.Context, /, settings: Settings, hosts: tuple[str, ...], **given: Any) -> None:
    """Show what differs between a policy and your hosts.

    Checks hosts as `fleet check` does, or takes saved audits of them. Without either, checks the
    hosts that the policy names.

    Names the keys to authorize and to revoke in each account, the hosts to harden, and what cannot
    be known from the audits. Changes nothing. A break-glass key is never revoked, and a host on
    which nobody would be known to get in afterwards is marked as refused.

    The exit status is 10 if anything differs or is in doubt.
    """
    from fidokit.fleet.planning.fleet_plan import plan_fleet
    from fidokit.fleet.policy.proofs import read_proved_policy

    policy = given["policy"]
    today = datetime.now(UTC).date()
    known, proofs = read_proved_policy(Path(policy), today.isoformat())
    with closing(_audits(settings, hosts, given, known)) as audits:
        made = plan_fleet(known, audits, today=today, proofs=proofs)
    if settings.json:
        from fidokit.cli.commands.fleet.plan_json import plan_document

        pieces = plan_document(made, policy)
    else:
        from fidokit.cli.commands.fleet.plan_text import plan_lines

        pieces = (f"{line}\n" for line in plan_lines(made, long_=given["long_"]))
    for piece in pieces:
        sys.stdout.write(piece)
    if not made.holds:
        ctx.exit(ExitCode.POLICY)


def _audits(
    settings: Settings, hosts: tuple[str, ...], given: dict[str, Any], policy: FleetPolicy
) -> Generator[HostAudit]:
    """Saved audits, then those of hosts that are checked now, one at a time."""
    from fidokit.fleet.planning.saved_audits import SavedAudits

    saved = SavedAudits.of(given["audits"])
    destinations = named_hosts(hosts, given)
    if not destinations and not len(saved):
        destinations = named_or_of_policy(hosts, given, policy, other=SAVED)
    with Counter(settings, "comparing hosts") as counter:
        for done, audit in enumerate(saved):
            counter.show(done, len(saved))
            yield audit
    if destinations:
        survey = survey_of(destinations, given, policy)
        with Counter(settings, "checking hosts") as counter:
            yield from survey.audits(counter.show)
