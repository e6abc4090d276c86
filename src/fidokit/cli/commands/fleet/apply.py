"""`fidokit fleet apply`: what `fleet plan` shows, carried out, or taken back."""

from __future__ import annotations

import sys
from collections import Counter as Tally
from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from fidokit.cli.commands.fleet.hosts import named_or_of_policy, reach_options, survey_of
from fidokit.cli.options import verb
from fidokit.cli.progress import Counter
from fidokit.cli.render import Json, styled, write_json
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode, UsageError
from fidokit.prompt.text import (
    BAD,
    DOUBT,
    GOOD,
    columns,
    count,
    escape,
    fitted,
    is_fancy,
    note,
)

if TYPE_CHECKING:
    from fidokit.fleet.applying.journal import Journal
    from fidokit.fleet.applying.rollout import Rollout, RolloutRow
    from fidokit.fleet.hosts.destinations import FleetHost

_ENTRY: Final = "fidokit.cli.far_side.steps"
_STEPS_S: Final = 300
_PRINT: Final = 19
"""Signs of a fingerprint: `SHA256:` and 12 more tell keys apart."""

_WORDS: Final = {
    "done": ("done", GOOD),
    "nothing": ("nothing to do", GOOD),
    "planned": ("would be changed", ""),
    "undone": ("taken back", GOOD),
    "refused": ("refused", BAD),
    "unknown": ("not checked", DOUBT),
    "failed": ("failed", BAD),
    "not-tried": ("not tried", DOUBT),
}


@verb()
@reach_options
@click.option(
    "--policy",
    metavar="FILE",
    default="policy.toml",
    help="The policy.  [default: policy.toml]",
)
@click.option(
    "--canary",
    metavar="HOST",
    help="The host that is changed first, alone.  [default: the first one named]",
)
@click.option(
    "--yes-unproved",
    is_flag=True,
    help="Harden a host also if no key is proved to get in, but none is refused.",
)
@click.option("--dry-run", is_flag=True, help="Check and plan, and change nothing.")
@click.option("--undo", is_flag=True, help="Take back what the last run changed.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def apply(
    ctx: click.Context,
    /,
    settings: Settings,
    hosts: tuple[str, ...],
    **given: Any,
) -> None:
    """Carry out what `fleet plan` shows, one host first.

    On each host, keys are authorized, then revoked, then sshd is hardened, as the `server` commands
    do it. Then fidokit checks the host again by a new login. If a step fails, or the host is not
    what the policy states, the host takes everything back, and no further host is changed. It takes
    everything back also if the connection ends.

    Run it again to continue: hosts that are done need nothing. --undo takes back what the last run
    changed, unless somebody changed the files since.

    The exit status is 10 if a host is not known to be what the policy states.
    """
    from fidokit.fleet.applying.journal import Journal, journal_file

    journal = Journal(journal_file())
    begun = _undone if given["undo"] else _applied
    rows, total = begun(hosts, given, journal)
    done: list[RolloutRow] = []
    with Counter(settings, "changing hosts") as counter, closing(rows):
        try:
            for row in rows:
                done.append(row)
                counter.show(len(done), total)
        finally:
            counter.clear()
            _show(settings, done, given)
    if not all(row.holds for row in done):
        ctx.exit(ExitCode.POLICY)


def _applied(
    hosts: tuple[str, ...], given: dict[str, Any], journal: Journal
) -> tuple[Generator[RolloutRow], int]:
    from fidokit.fleet.planning.host_plan import HostPlanner
    from fidokit.fleet.policy.proofs import read_proved_policy

    today = datetime.now(UTC).date()
    policy, proofs = read_proved_policy(Path(given["policy"]), today.isoformat())
    found = _canary_first(named_or_of_policy(hosts, given, policy), given["canary"])
    if not given["dry_run"]:
        first = f", {escape(found[0].name)} first" if len(found) > 1 else ""
        _ask(given, f"Apply {escape(given['policy'])} to {count(len(found), 'host')}{first}?")
    planner = HostPlanner(policy, proofs, today)
    return _rollout(found, given, journal, planner).run(), len(found)


def _undone(
    hosts: tuple[str, ...], given: dict[str, Any], journal: Journal
) -> tuple[Generator[RolloutRow], int]:
    if given["dry_run"] or given["canary"]:
        raise UsageError("--undo goes with neither --dry-run nor --canary")
    run = journal.last_changed()
    if run is None:
        note("nothing to take back")
        none: list[RolloutRow] = []
        return (row for row in none), 0
    missing = [name for name in hosts if name not in run.hosts]
    if missing:
        raise UsageError(f"the last run did not change {missing[0]}")
    number = len(hosts) or len(run.hosts)
    _ask(given, f"Take back what the last run changed on {count(number, 'host')}?")
    return _rollout([], given, journal, None).undo(run, hosts), number


def _rollout(
    hosts: list[FleetHost], given: dict[str, Any], journal: Journal, planner: Any
) -> Rollout:
    from fidokit.fleet.applying.rollout import Rollout
    from fidokit.fleet.applying.steps import StepsRequest
    from fidokit.fleet.hosts.program import TravelingProgram

    audit = survey_of(hosts, given, None).request
    program = TravelingProgram.packed(_ENTRY)
    seconds = max(_STEPS_S, 2 * given["timeout"])
    return Rollout(
        hosts,
        planner,
        audit,
        StepsRequest(program, audit.ssh, audit.sudo, seconds),
        journal,
        given["parallel"],
        given["dry_run"],
        given["yes_unproved"],
    )


def _canary_first(hosts: list[FleetHost], canary: str | None) -> list[FleetHost]:
    if canary is None:
        return hosts
    found = [at for at in hosts if at.name == canary]
    if not found:
        raise UsageError(f"the canary {canary} is not among the hosts")
    return [*found, *(at for at in hosts if at.name != canary)]


def _ask(given: dict[str, Any], question: str) -> None:
    from fidokit.prompt import questions

    if not given["yes"]:
        questions.require_yes(question)


# --- what is shown ---------------------------------------------------------------------------


def _show(settings: Settings, rows: list[RolloutRow], given: dict[str, Any]) -> None:
    members: list[Json] = [
        {
            "host": row.host,
            "state": str(row.state),
            "problem": row.problem or None,
            "actions": [_members(one) for one in row.actions],
            "remarks": [_members(one) for one in row.remarks],
        }
        for row in rows
    ]
    policy = None if given["undo"] else given["policy"]
    if settings.json:
        value = {"policy": policy, "dry_run": given["dry_run"], "hosts": members}
        write_json({"applied": value})
        return
    width = columns(sys.stdout) if is_fancy(sys.stdout) else 0
    for line in _lines(rows):
        print(fitted(line, width) if width and "\x1b" not in line else line)


def _members(action: Any) -> Json:
    from fidokit.cli.commands.fleet.plan_json import action_members

    return action_members(action)


def _lines(rows: list[RolloutRow]) -> Iterator[str]:
    from fidokit.cli.commands.fleet.plan_text import action_words

    for row in rows:
        word, color = _WORDS[row.state]
        yield f"{escape(row.host)}: {styled(word, color) if color else word}"
        shown = row.actions if row.state in {"done", "planned"} else ()
        for action in (*shown, *row.remarks):
            yield f"  {action.kind} {action_words(action, _PRINT)}"
        if row.problem:
            yield f"  {escape(row.problem)}"
    tally = Tally(row.state for row in rows)
    if len(rows) > 1:
        yield ", ".join(f"{number:,} {_WORDS[state][0]}" for state, number in tally.items())
