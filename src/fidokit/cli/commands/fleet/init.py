"""`fidokit fleet init`: a first policy, of what is there now."""

from __future__ import annotations

from collections.abc import Iterator
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
from fidokit.cli.options import verb
from fidokit.cli.progress import Counter, Working
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt.text import count

if TYPE_CHECKING:
    from fidokit.fleet.planning.beginning import BegunPolicy
    from fidokit.fleet.planning.saved_audits import GatheredAudits

FROM_AUDIT = (
    "A saved `server check --json`: FILE named after its host (HOST.json), HOST=FILE, or a folder "
    "of such files. Can be repeated."
)
SAVED = "--from-audit FILE, "


@verb()
@host_options
@click.option("--from-audit", "audits", metavar="FILE", multiple=True, help=FROM_AUDIT)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    default="policy.toml",
    help="Write the policy to FILE.  [default: policy.toml]",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def init(settings: Settings, /, hosts: tuple[str, ...], **given: Any) -> None:
    """Write a policy that lets in who gets in now.

    Checks hosts as `fleet check` does, or takes saved audits of them, and writes policy.toml:
    people and their keys, and what each host lets in. A rule is written for a host only if its
    audit was asked for it and proves it; hosts that are checked now are asked for every rule,
    unless --require names some. The policy is read back and compared with the audits before it is
    written.

    Names of people are guessed from the comments of their keys. Read the file and correct it.
    """
    from fidokit.fleet.planning.beginning import begin_policy, what_is_kept

    output = given["output"]
    found = _audits(settings, hosts, given)
    with Working(settings, "Making the policy"):
        done = begin_policy(
            found,
            Path(output),
            today=datetime.now(UTC).date(),
            key_folders=[Path.home() / ".ssh"],
            inventory=what_is_kept(),
            force=given["force"],
        )
    keys = sum(len(person.keys) for person in done.policy.people.values())
    number = len(done.plan.hosts)
    data = {
        "path": output,
        "people": len(done.policy.people),
        "keys": keys,
        "hosts": number,
        "doubts": done.doubts,
        "left_out": [{"host": host, "why": why} for host, why in done.left_out.items()],
    }
    show(settings, data, Lines(list(_lines(done, keys, number))))


def _audits(settings: Settings, hosts: tuple[str, ...], given: dict[str, Any]) -> GatheredAudits:
    """Saved audits, and those of hosts that are checked now."""
    from fidokit.fleet.planning.saved_audits import GatheredAudits, SavedAudits
    from fidokit.server.check.policy import CheckRule

    saved = SavedAudits.of(given["audits"])
    destinations = named_hosts(hosts, given)
    if not destinations:
        if not len(saved):
            named_or_of_policy(hosts, given, None, other=SAVED)
        return GatheredAudits(saved)
    rules = given["rules"] or tuple(map(str, CheckRule))
    survey = survey_of(destinations, {**given, "rules": rules}, None)
    with Counter(settings, "checking hosts") as counter:
        return GatheredAudits(saved, list(survey.audits(counter.show)))


def _lines(done: BegunPolicy, keys: int, hosts: int) -> Iterator[str]:
    people = count(len(done.policy.people), "owner")
    yield (
        f"wrote {home_path(done.path)}: {count(keys, 'key')} of {people}, {count(hosts, 'host')}"
    )
    for host, why in done.left_out.items():
        yield f"left out {host}: {why}"
    if done.doubts:
        them = "it" if done.doubts == 1 else "them"
        said = count(done.doubts, "doubt")
        yield f"{said} of the audits left: `fidokit fleet plan` names {them}"
    yield "next: read the file, and correct the names"
