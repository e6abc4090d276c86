"""`fidokit server check`: who can log in, and by what."""

from __future__ import annotations

import sys

import click

from fidokit.cli.options import verb
from fidokit.cli.render import labeled
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt.text import note

RULES = ("hardware", "verify", "no-password")


@verb()
@click.option(
    "--user", "users", metavar="NAME", multiple=True, help="Only this user; may be repeated."
)
@click.option(
    "--require",
    "rules",
    type=click.Choice(RULES),
    multiple=True,
    help="Hold every login to this; may be repeated.",
)
@click.option(
    "-C",
    "--connection",
    metavar="SPEC",
    default="",
    help="Where logins come from, as `sshd -C` has it: host=NAME,addr=ADDRESS.",
)
@click.option("--config", metavar="FILE", help="Another configuration than sshd's own.")
@click.option("--sshd", metavar="PROGRAM", help="Another sshd than this machine's.")
@click.pass_context
def check(
    ctx: click.Context,
    settings: Settings,
    *,
    users: tuple[str, ...],
    rules: tuple[str, ...],
    connection: str,
    config: str | None,
    sshd: str | None,
) -> None:
    """Report who can log in to this machine over ssh, and by what.

    Asks sshd for its effective settings, for each user, and reads all authorized_keys as sshd does:
    which keys are on tokens, what a login by them takes, which are weak, there twice or refused,
    which lines and files sshd passes over, and who could still log in by a password.

    With --require, exit status 10 where a login is possible that breaks the rule: by a key that is
    on no token (hardware), without PIN or fingerprint (verify), by a password alone (no-password).
    Keys that sshd refuses break nothing.
    """
    from fidokit.cli.commands.server import check_words
    from fidokit.server.check.report import CheckRequest, CheckRule, CheckTally, check_server

    if settings.json:
        from fidokit.cli.commands.server.check_json import write
    else:
        from fidokit.cli.commands.server.check_table import write

    stated = frozenset(CheckRule(rule) for rule in rules)
    request = CheckRequest(users, stated, sshd, config, connection)
    tally = CheckTally(stated)
    report = tally.watch(check_server(request))
    write(report, tally)
    for found in tally.violations:
        print(labeled(f"{found.rule}: ", check_words.violation(found)), file=sys.stderr)
    if tally.violations:
        note(f"does not hold: {len(tally.violations)} violations")
        ctx.exit(ExitCode.POLICY)
