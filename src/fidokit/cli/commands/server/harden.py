"""`fidokit server harden`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import styled, write_json
from fidokit.cli.settings import Settings
from fidokit.errors import FidokitError, UsageError
from fidokit.prompt.text import BAD, GOOD, columns, escape, fitted, is_fancy, note
from fidokit.server.harden.levels import Level

if TYPE_CHECKING:
    from fidokit.server.harden.lock_out import Progress
    from fidokit.server.harden.plan import HardeningPlan


def which_sshd(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a command that changes what an sshd reads."""
    for option in (
        click.option(
            "--sshd", metavar="PROGRAM", help="Use this sshd instead of the installed one."
        ),
        click.option(
            "--config",
            metavar="FILE",
            default="/etc/ssh/sshd_config",
            show_default=True,
            type=click.Path(path_type=Path),
            help="Use this sshd_config, such as a copy.",
        ),
        click.option(
            "--pid-file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Reload the process that FILE names, by SIGHUP.",
        ),
        click.option(
            "--reload",
            is_flag=True,
            help="Make the running sshd use it now; undo it if that fails.",
        ),
    ):
        command = option(command)
    return command


@verb()
@click.argument("levels", nargs=-1, type=click.Choice(list(map(str, Level))))
@click.option("--undo", is_flag=True, help="Undo every hardening instead.")
@click.option(
    "--user",
    "users",
    metavar="NAME",
    multiple=True,
    help="A user whose keys must still work. Can be repeated.  [default: all users with keys]",
)
@click.option(
    "--login-with",
    metavar="FILE|FINGERPRINT",
    multiple=True,
    help="A key that you have, in a file or in your agent: prove it by a full login.",
)
@click.option("--yes-unproved", is_flag=True, help="Continue if the test proves nothing.")
@click.option("--dry-run", is_flag=True, help="Show and prove the change, and change nothing.")
@which_sshd
@click.option(
    "--pam-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The PAM service, for second-factor.  [default: sshd's own]",
)
@click.option(
    "--secret-file",
    metavar="PATTERN",
    help="The file where root keeps the secrets of codes, such as '/var/lib/otp/${USER}'.",
)
def harden(
    settings: Settings,
    *,
    levels: tuple[str, ...],
    undo: bool,
    users: tuple[str, ...],
    login_with: tuple[str, ...],
    yes_unproved: bool,
    dry_run: bool,
    reload: bool,
    pid_file: Path | None,
    config: Path,
    sshd: str | None,
    pam_file: Path | None,
    secret_file: str | None,
) -> None:
    """Tighten sshd, after proving that the users can still log in.

    \b
    touch          require a touch for each login with a token
    verify         also require the PIN or a fingerprint
    hardware-only  allow only keys on tokens: no other keys, no passwords
    second-factor  require a key and a one-time code (TOTP): no passwords

    You can combine several levels: `harden verify hardware-only`. They replace those of an earlier
    run.

    Before fidokit writes anything, it tests with a temporary sshd on loopback that it still accepts
    the keys of all users. If a user would be locked out, nothing changes. The running sshd changes
    only with --reload.
    """
    from fidokit.server.harden.application import plan_hardening, plan_unhardening
    from fidokit.server.harden.plan import HardeningRequest, HardeningTarget

    target = HardeningTarget(config, sshd, pam_file)
    if undo == bool(levels):
        raise UsageError("give either a level or --undo", hint=f"the levels are {', '.join(Level)}")
    if undo:
        plan = plan_unhardening(target)
    else:
        with _progress(settings) as told:
            plan = plan_hardening(
                HardeningRequest(
                    " ".join(levels), users, login_with, yes_unproved, secret_file, told
                ),
                target,
            )
    carry_out(settings, plan, dry_run=dry_run, reload=reload or pid_file is not None, pid=pid_file)


@contextmanager
def _progress(settings: Settings) -> Iterator[Progress]:
    """One line on a terminal, written over and over, and gone at the end."""
    shown = settings.progress and not settings.json and is_fancy(sys.stderr)

    def told(what: str, done: int, total: int) -> None:
        if shown:
            sys.stderr.write(f"\r\x1b[KAsking {what}: {done} of {total} users")
            sys.stderr.flush()

    try:
        yield told
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def carry_out(
    settings: Settings, plan: HardeningPlan, *, dry_run: bool, reload: bool, pid: Path | None
) -> None:
    """Show a plan, and carry it out unless something stands against it."""
    from fidokit.server.harden.application import apply_hardening

    for warning in plan.warnings:
        note(f"warning: {warning}")
    if not settings.json:
        for line in (*_diffs(plan), *map(_narrow, (*_proofs(plan), *_summary(plan)))):
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
    print("\n".join(map(_narrow, _outcome(plan, done=done, reloaded=done and reload))))


def _narrow(line: str) -> str:
    """A line made harmless, and broken at words for a terminal; a command stays whole."""
    line = escape(line)
    if line.startswith("  fidokit ") or not is_fancy(sys.stdout):
        return line
    width = columns(sys.stdout)
    return line if len(line) <= width else fitted(line, width - 2).replace("\n", "\n  ")


def _proofs(plan: HardeningPlan) -> Iterator[str]:
    from fidokit.server.authorize.lines import line_name

    for proof in plan.proofs:
        for key in proof.keys:
            yield f"{proof.user}: {key.proof.value}  {line_name(key.line)}: {key.why}"
    for code in plan.codes:
        if code.works:
            yield f"{code.user}: login  by a key and a code"


def _summary(plan: HardeningPlan) -> Iterator[str]:
    """What an administrator wants to know: who would get in."""
    from fidokit.server.harden.standing import Standing, standings, ways_to_find_out

    for standing in Standing:
        names = [
            f"{name}{why and f' ({why})'}"
            for name, what, why in standings(plan)
            if what is standing
        ]
        if names:
            yield f"{standing}: {', '.join(names)}"
    for _, command in ways_to_find_out(plan):
        yield f"  {command}"


def _outcome(plan: HardeningPlan, *, done: bool, reloaded: bool) -> Iterator[str]:
    if plan.is_empty:
        yield f"{plan.level} is already in place." if plan.level else "There is nothing to undo."
    for edit in plan.edits:
        gone = "removed" if edit.after is None else "written"
        yield f"{gone if done else f'would be {gone}'}  {edit.path}"
        if done and edit.after is not None and edit.original.exists():
            yield f"the original is kept as {edit.original}"
    if reloaded:
        yield "sshd was reloaded and answers."
    elif done:
        yield from _how_it_counts(plan)


def _how_it_counts(plan: HardeningPlan) -> Iterator[str]:
    from fidokit.server.harden.application import how_to_reload

    try:
        commands = how_to_reload(plan.target)
    except FidokitError:
        yield "It takes effect when sshd starts with it."
        return
    if not commands:
        yield "It takes effect at the next login, because each login starts its own sshd."
    for command in commands:
        yield f"It takes effect when sshd is reloaded: sudo {command}"
    yield "Stay logged in until another login works."


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
            color = {"+": GOOD, "-": BAD}.get(line[:1])
            yield styled(escape(line), color) if color else escape(line)
