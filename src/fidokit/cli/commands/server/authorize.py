"""`fidokit server`: authorize."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show, styled
from fidokit.cli.settings import Settings
from fidokit.prompt.text import escape, note

if TYPE_CHECKING:
    from fidokit.server.authorize.authorization import Authorized


@verb()
@click.argument("keys", nargs=-1, required=True)
@click.option("--user", metavar="NAME", help="Whose account on this machine.  [default: yours]")
@click.option(
    "--host", "destination", metavar="[USER@]HOST", help="An account on another machine, by ssh."
)
@click.option(
    "-e",
    "--ssh",
    metavar="COMMAND",
    default="ssh",
    help="How to reach it, such as 'ssh -p 2222'.  [default: ssh]",
)
@click.option(
    "--path", metavar="FILE", help="Another file than .ssh/authorized_keys, or what sshd names."
)
@click.option("--verify-required", is_flag=True, help="Demand the PIN or fingerprint each time.")
@click.option("--no-touch-required", is_flag=True, help="Let the key in without a touch.")
@click.option("--restrict", is_flag=True, help="No forwarding, no terminal, no ~/.ssh/rc.")
@click.option("--from", "from_", metavar="PATTERNS", help="Only from these hosts or networks.")
@click.option("--command", metavar="COMMAND", help="Run this, whatever is asked for.")
@click.option("--expiry-time", metavar="YYYYMMDD[HHMM]", help="Until then, in the server's time.")
@click.option(
    "-O", "extra", metavar="NAME[=VALUE]", multiple=True, help="Any other option of sshd(8)."
)
@click.option("--only-hardware", is_flag=True, help="Leave out keys that are on no token.")
@click.option("--no-backup", is_flag=True, help="Leave the backups of the keys out.")
@click.option("--revoke", is_flag=True, help="Take the keys out instead; a SHA256:... names one.")
@click.option("--dry-run", is_flag=True, help="Show what would change; change nothing.")
def authorize(
    settings: Settings,
    *,
    keys: tuple[str, ...],
    user: str | None,
    destination: str | None,
    ssh: str,
    path: str | None,
    only_hardware: bool,
    no_backup: bool,
    revoke: bool,
    dry_run: bool,
    extra: tuple[str, ...],
    **named: object,
) -> None:
    """Let keys into an account, or take them out.

    The account is here or on another machine. KEYS are public key files, gh:NAME, gl:NAME or
    lp:NAME for what an account of GitHub, GitLab or Launchpad publishes, or https addresses. A key
    that is there is not added again; other lines stay as they are, byte for byte.
    """
    from fidokit.server.authorize import authorization
    from fidokit.server.authorize.authorization import AuthorizeTarget, key_options

    place = AuthorizeTarget(user, destination, tuple(shlex.split(ssh)), path)
    if revoke:
        done = authorization.revoke_keys(keys, place, dry_run=dry_run)
    else:
        options = key_options([*_named(named), *extra])
        done = authorization.authorize_keys(
            keys,
            place,
            options=options,
            only_hardware=only_hardware,
            backups=not no_backup,
            dry_run=dry_run,
        )
    for warning in done.warnings:
        note(f"warning: {warning}")
    lines = [*_told(done, dry_run)]
    if dry_run and not settings.json:
        print("\n".join([*map(escape, lines), *map(_colored, _diff(done))]))
        return
    show(settings, {"authorized": schema.authorized(done, dry_run)}, Lines(lines))


_FLAGS = ("verify_required", "no_touch_required", "restrict")


def _named(given: dict[str, object]) -> Iterator[str]:
    """The options that have a switch of their own, in the order of sshd(8)."""
    for name, value in given.items():
        option = name.rstrip("_").replace("_", "-")
        if name in _FLAGS and value:
            yield option
        elif name not in _FLAGS and value is not None:
            yield f"{option}={value}"


def _told(done: Authorized, dry_run: bool) -> Iterator[str]:
    change = done.change
    would = "would be " if dry_run else ""
    for source in done.sources:
        left_out = f", {source.left_out} on no token left out" if source.left_out else ""
        yield f"{source.source}: {len(source.keys)} keys{left_out}"
    for word, names in _names(done, would):
        yield from (f"{word}  {name}" for name in names)
    if change.unreadable:
        numbers = ", ".join(str(line.line_number) for line in change.unreadable[:10])
        yield f"sshd passes over unreadable lines of it: {numbers}"
    yield f"{'Nothing changes in' if change.is_empty else 'File:'} {done.where}"


def _names(done: Authorized, would: str) -> Iterator[tuple[str, list[str]]]:
    from fidokit.server.authorize.lines import line_name

    change = done.change
    yield f"{would}added", [line_name(line) for line in change.added]
    yield f"{would}changed", [line_name(line) for line in change.changed]
    yield "was there", [line_name(line) for line in change.present]
    yield f"{would}removed", [line_name(line) for line in change.removed]


def _diff(done: Authorized) -> list[str]:
    from difflib import unified_diff

    before, after = (
        text.decode("utf-8", "backslashreplace").splitlines()
        for text in (done.change.before, done.change.after)
    )
    diff = unified_diff(before, after, "before", "after", lineterm="", n=1)
    return [escape(line) for line in diff]


def _colored(line: str) -> str:
    return {"+": styled(line, "32"), "-": styled(line, "31")}.get(line[:1], line)
