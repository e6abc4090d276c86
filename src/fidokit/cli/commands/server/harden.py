"""`fidokit server harden`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import styled, write_json
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError
from fidokit.prompt.text import escape, note
from fidokit.server.harden.levels import Level

if TYPE_CHECKING:
    from fidokit.server.harden.plan import HardeningPlan


@verb()
@click.argument("levels", nargs=-1, type=click.Choice(list(map(str, Level))))
@click.option("--undo", is_flag=True, help="Take every hardening back instead.")
@click.option(
    "--user",
    "users",
    metavar="NAME",
    multiple=True,
    help="Whose keys must still get in; again for more.  [default: all who have keys]",
)
@click.option(
    "--login-with",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A key that is at hand: prove it by a full login, with PIN and touch.",
)
@click.option("--yes-unproved", is_flag=True, help="Go on where the trial is no proof.")
@click.option("--dry-run", is_flag=True, help="Show and prove; change nothing.")
@click.option("--reload", is_flag=True, help="Have sshd take it now, and back if it fails.")
@click.option(
    "--pid-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Reload the process that this file names, by SIGHUP.",
)
@click.option(
    "--config",
    metavar="FILE",
    default="/etc/ssh/sshd_config",
    show_default=True,
    type=click.Path(path_type=Path),
    help="Another configuration, such as a copy.",
)
@click.option("--sshd", metavar="PROGRAM", help="Another sshd than the one installed.")
@click.option(
    "--pam-file",
    metavar="FILE",
    default="/etc/pam.d/sshd",
    show_default=True,
    type=click.Path(path_type=Path),
    help="sshd's PAM service, for second-factor.",
)
def harden(
    settings: Settings,
    *,
    levels: tuple[str, ...],
    undo: bool,
    users: tuple[str, ...],
    login_with: tuple[Path, ...],
    yes_unproved: bool,
    dry_run: bool,
    reload: bool,
    pid_file: Path | None,
    config: Path,
    sshd: str | None,
    pam_file: Path,
) -> None:
    """Tighten sshd, after proving that the users can still log in.

    \b
    touch          a touch for each login with a token, whatever authorized_keys allows
    verify         the PIN or fingerprint, too
    hardware-only  keys on tokens alone: no other keys, no passwords
    second-factor  a key and a one-time code (TOTP), no passwords

    Several may be given at once: `harden verify hardware-only`. What is given replaces what an
    earlier run demanded.

    Before anything is written, a throw-away sshd on loopback is asked whether it would still take
    the keys of the users; where one would be locked out, nothing changes. The running sshd is left
    alone without --reload.
    """
    from fidokit.server.harden.application import plan_hardening, plan_unhardening
    from fidokit.server.harden.plan import HardeningRequest, HardeningTarget

    target = HardeningTarget(config, sshd, pam_file)
    if undo == bool(levels):
        raise UsageError(
            "say a level or --undo, and not both", hint=f"levels are {', '.join(Level)}"
        )
    if undo:
        plan = plan_unhardening(target)
    else:
        plan = plan_hardening(
            HardeningRequest(" ".join(levels), users, login_with, yes_unproved), target
        )
    _carry_out(settings, plan, dry_run=dry_run, reload=reload or pid_file is not None, pid=pid_file)


def _carry_out(
    settings: Settings, plan: HardeningPlan, *, dry_run: bool, reload: bool, pid: Path | None
) -> None:
    from fidokit.server.harden.application import apply_hardening

    for warning in plan.warnings:
        note(f"warning: {warning}")
    if not settings.json:
        for line in (*_diffs(plan), *map(escape, _proofs(plan))):
            print(line)
    if plan.obstacle is not None:
        note("Nothing was written.")
        raise plan.obstacle
    done = not dry_run and (reload or not plan.is_empty)
    if done:
        apply_hardening(plan, reload=reload, pid_file=pid)
    if settings.json:
        write_json({"hardening": schema.hardening(plan, done=done, reloaded=done and reload)})
        return
    print("\n".join(map(escape, _outcome(plan, done=done, reloaded=done and reload))))


def _proofs(plan: HardeningPlan) -> Iterator[str]:
    from fidokit.server.authorize.lines import line_name

    for proof in plan.proofs:
        for key in proof.keys:
            yield f"{proof.user}: {key.proof.value}  {line_name(key.line)}: {key.why}"


def _outcome(plan: HardeningPlan, *, done: bool, reloaded: bool) -> Iterator[str]:
    if plan.is_empty:
        yield f"{plan.level} is in place already." if plan.level else "There is nothing to undo."
    for edit in plan.edits:
        gone = "removed" if edit.after is None else "written"
        yield f"{gone if done else f'would be {gone}'}  {edit.path}"
        if done and edit.after is not None and edit.original.exists():
            yield f"the original is kept as {edit.original}"
    if reloaded:
        yield "sshd was reloaded, and answers."
    elif done:
        yield (
            "It counts once sshd is reloaded, such as by: sudo systemctl reload ssh. "
            "Stay logged in until another login has worked."
        )


def _diffs(plan: HardeningPlan) -> Iterator[str]:
    from difflib import unified_diff

    for edit in plan.edits:
        before, after = (
            (text or b"").decode("utf-8", "backslashreplace").splitlines()
            for text in (edit.before, edit.after)
        )
        old = "none" if edit.before is None else str(edit.path)
        new = "none" if edit.after is None else str(edit.path)
        for line in unified_diff(before, after, old, new, lineterm="", n=1):
            color = {"+": "32", "-": "31"}.get(line[:1])
            yield styled(escape(line), color) if color else escape(line)
