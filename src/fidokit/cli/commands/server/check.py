"""`fidokit server check`: who can log in, and by what."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from fidokit.cli.options import verb
from fidokit.cli.progress import Counter
from fidokit.cli.render import labeled
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt.text import count, escape, note

if TYPE_CHECKING:
    from fidokit.server.check.findings.advice import Advice
    from fidokit.server.check.findings.derivation import ReportEvent
    from fidokit.server.check.findings.tally import CheckTally
    from fidokit.server.check.report import CheckRequest

FORMATS = ("text", "json", "sarif", "junit", "openmetrics")


@verb()
@click.option(
    "--user", "users", metavar="NAME", multiple=True, help="Check only this user. Can be repeated."
)
@click.option(
    "--require",
    "rules",
    metavar="RULE",
    multiple=True,
    help="Require a rule: hardware, hardware-or-certified, verify, no-password or "
    "break-glass=[USER:]SHA256:... Can be repeated.",
)
@click.option("--problems", is_flag=True, help="Show only what breaks a rule or cannot be known.")
@click.option("--long", "long_", is_flag=True, help="Also show every setting, file and key.")
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="The format for other programs; json is the same as --json.  [default: text]",
)
@click.option(
    "-C",
    "--connection",
    metavar="SPEC",
    default="",
    help="Where logins come from, as for `sshd -C`: host=NAME,addr=ADDRESS.",
)
@click.option("--config", metavar="FILE", help="Use this sshd_config instead of the default one.")
@click.option("--sshd", metavar="PROGRAM", help="Use this sshd instead of the installed one.")
@click.pass_context
def check(
    ctx: click.Context,
    settings: Settings,
    *,
    users: tuple[str, ...],
    rules: tuple[str, ...],
    problems: bool,
    long_: bool,
    format_: str | None,
    connection: str,
    config: str | None,
    sshd: str | None,
) -> None:
    """Report who can log in over ssh, and how.

    Asks the installed sshd for the settings of each user, and reads their keys as sshd does. Prints
    a summary, then the findings. Each finding has an ID that docs/findings.md explains, the file
    and line that matter, and what to do next.

    With --require, the exit status is 10 if a login that breaks the rule is possible, or if fidokit
    cannot know. The rules: every key is on a token (hardware), or is certified by a bounded
    authority on a token (hardware-or-certified); every login needs the PIN or a fingerprint
    (verify); no login needs only a password (no-password); the key SHA256:... gets in
    (break-glass=SHA256:...).
    """
    from fidokit.server.check.findings.tally import CheckTally
    from fidokit.server.check.policy import parse_rule
    from fidokit.server.check.report import CheckRequest, check_server

    stated = tuple(map(parse_rule, dict.fromkeys(rules)))
    kind = "json" if settings.json else format_ or "text"
    tally = CheckTally(tuple(map(str, stated)))
    with Counter(settings, "checking users") as counter:
        request = CheckRequest(users, stated, sshd, config, connection, progress=counter.show)
        report = tally.watch(check_server(request))
        if kind == "text":
            _text(report, tally, request, problems=problems, long_=long_, counter=counter)
        else:
            for piece in _document(kind, report, tally, request):
                sys.stdout.write(piece)
    if not tally.holds():
        _say_what_breaks(tally, in_full=kind != "text" or not sys.stdout.isatty())
        ctx.exit(ExitCode.POLICY)


def _text(
    report: Iterable[ReportEvent],
    tally: CheckTally,
    request: CheckRequest,
    *,
    problems: bool,
    long_: bool,
    counter: Counter,
) -> None:
    """For a user: the summary first, so that details wait in a file until it is known."""
    from fidokit.cli.commands.server.check_details import details
    from fidokit.cli.commands.server.check_summary import write_findings, write_summary

    with details(report, wanted=long_) as waiting:
        counter.clear()
        if not problems:
            write_summary(tally)
        write_findings(tally, _advice(tally, request), problems=problems, in_full=long_)
        waiting.copy_to(sys.stdout)


def _advice(tally: CheckTally, request: CheckRequest) -> Advice:
    from fidokit.server.check.findings.advice import Advice
    from fidokit.server.check.findings.tally import LoginWay

    options = (("--config", request.config), ("--sshd", request.sshd))
    named = tuple(word for name, value in options if value for word in (name, value))
    return Advice(
        tally.with_keys(LoginWay.TOKEN),
        tally.with_keys(LoginWay.TOKEN, LoginWay.FILE),
        named,
        tuple(sys.argv[1:]),
    )


def _say_what_breaks(tally: CheckTally, *, in_full: bool) -> None:
    """On standard error, so that nobody who throws the report away misses it."""
    from fidokit.server.check.formats.sentences import place_text

    found = tally.violations
    for finding in found if in_full else ():
        at = f" {place_text(finding.path, finding.line)}" if finding.path else ""
        said = f"{finding.user}{at}: {finding.why}".lstrip()
        for rule in finding.rules:
            print(labeled(f"{escape(rule)}: ", said), file=sys.stderr)
    broken = [rule for rule in tally.stated if not tally.holds(rule)]
    note(f"does not hold: {', '.join(broken)} ({count(len(found), 'finding')})")


def _document(
    kind: str, report: Iterable[ReportEvent], tally: CheckTally, request: CheckRequest
) -> Iterator[str]:
    """A report in a form for programs, in pieces."""
    if kind == "json":
        from fidokit.cli.commands.server.check_json import document

        yield from document(report, tally, lambda: _advice(tally, request))
        return
    for _ in report:
        pass  # the tally watches
    from fidokit.server.check.formats import junit, openmetrics, sarif

    advice = _advice(tally, request)
    if kind == "sarif":
        yield from sarif.sarif(tally.findings, advice, holds=tally.holds())
    elif kind == "junit":
        yield from junit.junit(tally.findings, tally.names, tally.stated, advice)
    else:
        yield from openmetrics.openmetrics(tally)
