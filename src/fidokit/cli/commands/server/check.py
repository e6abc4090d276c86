"""`fidokit server check`: who can log in, and by what."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import SCHEMA, Json, labeled
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt.text import note
from fidokit.server.check.policy import CheckRule

if TYPE_CHECKING:
    from fidokit.server.check.audit import CheckEvent
    from fidokit.server.check.key_verdicts import CheckVerdict


@verb()
@click.option(
    "--user", "users", metavar="NAME", multiple=True, help="Only this user; may be repeated."
)
@click.option(
    "--require",
    "rules",
    type=click.Choice(list(map(str, CheckRule))),
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
    """Report who can log in over ssh, and by what.

    Asks sshd for its effective settings, for each user, and reads all authorized_keys as sshd does:
    which keys are on tokens, what a login by them takes, which are weak, there twice or refused,
    which lines and files sshd passes over, and who could still log in by a password.

    With --require, exit status 10 where a login is possible that breaks the rule: by a key that is
    on no token (hardware), without PIN or fingerprint (verify), by a password alone (no-password).
    Keys that sshd refuses break nothing.
    """
    from fidokit.cli.commands.server import check_text
    from fidokit.server.check.report import CheckRequest, CheckTally, check_server

    stated = frozenset(map(CheckRule, rules))
    tally = CheckTally(stated)
    report = tally.watch(check_server(CheckRequest(users, stated, sshd, config, connection)))
    if settings.json:
        for piece in _document(report):
            sys.stdout.write(piece)
        end = schema.check_tally(tally).items()
        print(
            "".join(f",\n {json.dumps(name)}: {json.dumps(value)}" for name, value in end) + "\n}"
        )
    else:
        check_text.write(report, tally)
    for found in tally.violations:
        print(labeled(f"{found.rule}: ", check_text.violation(found)), file=sys.stderr)
    if tally.violations:
        note(f"does not hold: {len(tally.violations)} violations")
        ctx.exit(ExitCode.POLICY)


def _document(report: Iterable[CheckEvent]) -> Iterator[str]:
    """The JSON (docs/json.md) up to its end, a key a line, while the report comes."""
    from fidokit.server.check.audit import ServerReport
    from fidokit.server.check.key_lines import KeyLine

    known: CheckVerdict | None = None
    shared: Json = {}  # what the verdict of the key before says
    opened, first = 0, True  # how many arrays are open below `users`, and whether theirs is empty
    for event in report:
        if isinstance(event, ServerReport):
            server = json.dumps(schema.check_server(event))
            yield f'{{"schema": {SCHEMA},\n "server": {server},\n "users": ['
            continue
        depth, data, array = _placed(event)
        if isinstance(event, KeyLine):
            if event.verdict is not known:
                known, shared = event.verdict, schema.check_verdict(event.verdict)
            data = {**data, **shared}
        if opened > depth:
            yield "]}" * (opened - depth)
            first = False
        text = json.dumps(data)
        yield ("\n" if first else ",\n") + " " * (depth + 1)
        yield f'{text[:-1]}, "{array}": [' if array else text
        opened, first = (depth + 1, True) if array else (depth, False)
    yield "]}" * opened + "]"


def _placed(event: CheckEvent) -> tuple[int, Json, str]:
    """How deep a part stands in the document, the part, and its array that the next parts fill."""
    from fidokit.server.check.audit import FileReport, ServerReport, UserReport
    from fidokit.server.check.key_lines import KeyLine, UnreadableLine

    match event:
        case KeyLine():
            return 2, schema.check_key(event), ""
        case UnreadableLine():
            return 2, schema.check_unreadable(event), ""
        case FileReport():
            return 1, schema.check_file(event), "lines"
        case UserReport():
            return 0, schema.check_user(event), "files"
        case ServerReport():
            raise AssertionError("there is one, and it comes first")
