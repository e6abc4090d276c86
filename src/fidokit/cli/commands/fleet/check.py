"""`fidokit fleet check`: many hosts, one report."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli.commands.fleet.hosts import host_options, named_or_of_policy, survey_of
from fidokit.cli.options import verb
from fidokit.cli.progress import Counter, Working
from fidokit.cli.render import home_path
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode, FidokitError, UsageError
from fidokit.prompt.text import count, note

if TYPE_CHECKING:
    from fidokit.fleet.report.joined import FleetReport
    from fidokit.fleet.survey import FleetSurvey

FORMATS = ("text", "json", "html", "sarif", "openmetrics")
_ENDINGS = {".json": "json", ".html": "html", ".sarif": "sarif", ".prom": "openmetrics"}


@verb()
@host_options
@click.option(
    "--policy", metavar="FILE", help="The policy that names the keys, and what must hold."
)
@click.option("--since", metavar="FILE", help="Show what changed since this report (from --json).")
@click.option("--no-keep", is_flag=True, help="Do not keep what was found for the next comparison.")
@click.option("--long", "long_", is_flag=True, help="Also show every key and every login.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="The format to print; json is the same as --json.  [default: text]",
)
@click.option(
    "--write",
    "files",
    metavar="FILE",
    multiple=True,
    help="Also write the report to FILE, which ends in .html, .json, .sarif or .prom.",
)
@click.pass_context
def check(ctx: click.Context, /, settings: Settings, hosts: tuple[str, ...], **given: Any) -> None:
    """Check many hosts over ssh, and report who gets in where.

    Runs `server check` on each host by your own ssh, with its configuration, agent and jump hosts.
    Each host needs Python 3.9; nothing is installed there and nothing stays. A host that cannot be
    checked is listed with the reason.

    The report shows by which key of whom each account can be entered, keys that the policy does not
    know, people without a backup, and what changed since the last time.

    With --require or --policy, the exit status is 10 if any host breaks a rule, has a key that the
    policy does not know, or could not be checked.
    """
    kinds = {name: _kind_of(name) for name in given["files"]}
    survey = _survey(hosts, given)
    before = _before(given["since"])
    try:
        with Counter(settings, "checking hosts") as counter:
            survey.run(counter.show)
    finally:
        if not given["no_keep"]:
            _keep(survey)
    with Working(settings, "Joining the reports"):
        report = survey.report(before)
    kind = "json" if settings.json else given["format_"] or "text"
    for piece in _pieces(kind, report, long_=given["long_"]):
        sys.stdout.write(piece)
    for name, wanted in kinds.items():
        _write(name, _pieces(wanted, report))
    _end(ctx, report)


def _end(ctx: click.Context, report: FleetReport) -> None:
    if report.stated and not report.holds:
        broken = sum(not row.holds for row in report.rows)
        unknown = len(report.unknown_keys)
        said = [f"{broken:,} of {count(len(report.rows), 'host')}"] if broken else []
        said += [f"{count(unknown, 'key')} that the policy does not know"] if unknown else []
        note(f"does not hold: {', '.join(said)}")
        ctx.exit(ExitCode.POLICY)
    if not report.checked:
        ctx.exit(ExitCode.OTHER)


# --- what to check ---------------------------------------------------------------------------


def _survey(hosts: tuple[str, ...], given: dict[str, Any]) -> FleetSurvey:
    from fidokit.fleet.policy.proofs import read_proved_policy, without_unproved

    policy = None
    if given["policy"]:
        today = datetime.now(UTC).date().isoformat()
        policy = without_unproved(*read_proved_policy(Path(given["policy"]), today))
    return survey_of(named_or_of_policy(hosts, given, policy), given, policy)


def _before(since: str | None) -> dict[str, str]:
    """What to compare with: a report, or what was kept."""
    from fidokit.fleet.report.kept import kept_file, read_hosts

    if since is not None and not Path(since).exists():
        raise UsageError(f"there is no file {since}")
    return read_hosts(Path(since) if since is not None else kept_file())


def _keep(survey: FleetSurvey) -> None:
    from fidokit.fleet.report.kept import keep, kept_file

    try:
        keep(survey.rows, kept_file())
    except FidokitError as error:  # the report is worth more than the next comparison
        note(f"warning: what was found is not kept: {error.message}")
    survey.note(note)


# --- how to show it --------------------------------------------------------------------------


def _kind_of(name: str) -> str:
    try:
        return _ENDINGS[Path(name).suffix]
    except KeyError:
        endings = ", ".join(_ENDINGS)
        raise UsageError(f"the name {name} ends in none of {endings}") from None


def _pieces(kind: str, report: FleetReport, *, long_: bool = False) -> Iterator[str]:
    if kind == "text":
        from fidokit.cli.commands.fleet.check_text import report_lines

        return (f"{line}\n" for line in report_lines(report, long_=long_))
    if kind == "json":
        from fidokit.fleet.report.formats.document import fleet_document

        return fleet_document(report)
    if kind == "html":
        from fidokit.fleet.report.formats.page import fleet_page

        return fleet_page(report, time.time())
    if kind == "sarif":
        from fidokit.fleet.report.formats.sarif import fleet_sarif

        return fleet_sarif(report)
    from fidokit.fleet.report.formats.openmetrics import fleet_openmetrics

    return fleet_openmetrics(report)


def _write(name: str, pieces: Iterator[str]) -> None:
    from fidokit.fleet.report.kept import write_report

    write_report(Path(name), pieces)
    note(f"wrote {home_path(Path(name).absolute())}")
