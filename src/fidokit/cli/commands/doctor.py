"""`fidokit doctor`: find out why a token does not work."""

from __future__ import annotations

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import Check, Checks, Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode

MARKS = {"ok": ("ok", "32"), "warn": ("note", "33"), "fail": ("PROBLEM", "1;31")}


@verb()
@click.option("--udev", is_flag=True, help="Print the udev rules that open tokens to you.")
@click.pass_context
def doctor(ctx: click.Context, settings: Settings, *, udev: bool) -> None:
    """Check this machine, cause by cause, and say how to mend what is wrong.

    Exit status 1 where a problem was found.
    """
    from fidokit.guide.doctor import diagnose
    from fidokit.tokens.udev_rules import RULES_PATH, rules_text

    if udev:
        rules = rules_text()
        udev_data = {"udev": {"path": RULES_PATH, "rules": rules}}
        show(settings, udev_data, Lines(rules.splitlines()))
        return
    findings = diagnose()
    data = [schema.finding(f) for f in findings]
    checks = [Check(*MARKS[str(f.status)], f.sentence, f.hint) for f in findings]
    show(settings, {"findings": data}, Checks(checks))
    if any(f.status == "fail" for f in findings):
        ctx.exit(ExitCode.OTHER)
