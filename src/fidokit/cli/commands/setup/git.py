"""`fidokit git setup`: git's settings for signatures by a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli.commands.setup import setup_json
from fidokit.cli.commands.setup.key_choice import chosen_key
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt import questions
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.signing.git_config import Git, GitSigning, SigningPlan, SigningUndone
    from fidokit.signing.signers_file import SignerLines

SIGNER_HELP = (
    "Let the keys of SOURCE (gh:NAME, gl:NAME, a file, an https address) sign, too; their "
    "principal is asked for where it is left out. May be given several times."
)


@verb()
@click.option("--local", is_flag=True, help="For this repository alone.")
@click.option("--global", "is_global", is_flag=True, help="For all of yours; the default.")
@click.option(
    "-f",
    "--key",
    "key",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The key's file.  [default: the one that git signs with, or the only one in ~/.ssh]",
)
@click.option("--principal", metavar="EMAIL", help="Whose key it is.  [default: git's user.email]")
@click.option(
    "--allowed-signers",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Who may sign.  [default: the file that git uses, or ~/.ssh/allowed_signers]",
)
@click.option("--signer", "others", metavar="[EMAIL=]SOURCE", multiple=True, help=SIGNER_HELP)
@click.option(
    "--program",
    metavar="PROGRAM",
    help="What signs.  [default: fidokit-ssh-keygen for a key on a token, else git's choice]",
)
@click.option("--on-request", is_flag=True, help="Sign commits with -S alone, not all of them.")
@click.option("--test", is_flag=True, help="Sign a commit that is thrown away, and verify it.")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
@click.option("--undo", is_flag=True, help="Put the settings back as they were before.")
def setup(
    settings: Settings,
    *,
    local: bool,
    is_global: bool,
    dry_run: bool,
    undo: bool,
    test: bool,
    **given: Any,
) -> None:
    """Have git sign commits by a key, and verify those of others.

    Sets gpg.format, user.signingKey, gpg.ssh.program, gpg.ssh.allowedSignersFile,
    commit.gpgSign, and user.email if git has none; puts a line for your key into the file of
    allowed signers. What is right already stays; what was there before comes back with --undo.
    """
    from fidokit.signing.git_config import (
        Git,
        apply_plan,
        plan_signing,
        prove_signing,
        undo_signing,
    )
    from fidokit.signing.records import note_signers

    if local and is_global:
        raise click.UsageError("--local and --global exclude each other")
    git = Git("local" if local else "global")
    if undo:
        if any(given.values()) or test or dry_run:
            raise click.UsageError("--undo goes with --local or --global alone")
        undone = undo_signing(git)
        show(settings, {"undone": setup_json.git_undone(undone)}, Lines(list(_undone(undone))))
        return
    wish = _wish(git, given)
    plan = plan_signing(git, wish)
    problems = [] if dry_run else apply_plan(git, plan)
    if not dry_run:
        note_signers(note, wish, plan)
    for problem in (*problems, *(one.note for one in wish.others if one.note)):
        note(f"note: {problem}")
    good = prove_signing(git, wish, plan) if test and not dry_run else None
    lines = [*_planned(plan, git, dry_run), *([f"Proved: {good}"] if good else [])]
    show(settings, {"git": setup_json.git_signing(plan, git.scope, good)}, Lines(lines))


def _wish(git: Git, given: dict[str, Any]) -> GitSigning:
    from fidokit.signing.git_config import GitSigning, configured_key

    key = given["key"] or configured_key(git) or chosen_key(None)
    return GitSigning(
        key=key,
        principal=given["principal"] or own_principal(git),
        signers=given["allowed_signers"],
        program=given["program"],
        every_commit=not given["on_request"],
        others=tuple(map(_signer, given["others"])),
    )


def own_principal(git: Git) -> str:
    """The email address of the user's commits, from git, else asked for."""
    from fidokit.signing.git_config import email_of, no_principal

    found = email_of(git) or (questions.ask_line("Email address of your commits: ") or "").strip()
    if not found:
        raise no_principal()
    return found


def _signer(text: str) -> SignerLines:
    """The keys of `[EMAIL=]SOURCE`."""
    from fidokit.server.authorize.sources import is_remote
    from fidokit.signing.git_config import no_principal
    from fidokit.signing.signers_file import SignerLines

    principal, equals, source = text.partition("=")
    if not equals or is_remote(text):
        principal, source = "", text
        asked = questions.ask_line(f"Email address of {source} in commits: ")
        principal = (asked or "").strip()
    if not principal:
        raise no_principal(source)
    return SignerLines.of_source(principal, source)


def _planned(plan: SigningPlan, git: Git, dry_run: bool) -> Iterator[str]:
    """What changed, a line each, and how to undo it."""
    from fidokit.signing.signers_file import line_name

    would = "would " if dry_run else ""
    for change in plan.settings:
        before = f" (was {change.before[-1]})" if change.before else ""
        yield f"{would}set  {change.name} = {change.after}{before}"
    yield from (f"was set  {name}" for name in plan.present)
    for principal, fingerprint in map(line_name, plan.lines):
        yield f"{would}add  {principal} to {home_path(plan.signers)}"
        yield f"{' ' * len(would)}     {fingerprint}"
    yield from (f"was there  {principal} in {home_path(plan.signers)}" for principal in plan.known)
    if plan.is_empty:
        yield "Nothing changes."
    elif not dry_run:
        local = " --local" if git.scope == "local" else ""
        yield f"To undo it: fidokit git setup --undo{local}"


def _undone(undone: SigningUndone) -> Iterator[str]:
    from fidokit.signing.signers_file import line_name

    for change in undone.restored:
        yield (
            f"set back  {change.name} = {change.after}" if change.after else f"unset  {change.name}"
        )
    yield from (f"left alone, you changed it  {name}" for name in undone.left)
    if undone.signers:
        where = home_path(undone.signers)
        for principal, fingerprint in map(line_name, undone.lines):
            yield from (f"taken out  {principal} of {where}", f"           {fingerprint}")
    if not (undone.restored or undone.left or undone.lines):
        yield "There is nothing to undo."
