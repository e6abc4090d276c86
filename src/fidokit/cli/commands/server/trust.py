"""`fidokit server trust-ca`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from fidokit.cli.commands.server.harden import carry_out, which_sshd
from fidokit.cli.options import verb
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError


@verb()
@click.argument("keys", nargs=-1, metavar="CA.pub...", type=click.Path(path_type=Path))
@click.option(
    "--principal",
    "principals",
    metavar="USER=NAME",
    multiple=True,
    help="Certificates for NAME can log in as USER. Can be repeated.  [default: the user's own "
    "name]",
)
@click.option("--undo", is_flag=True, help="Undo everything that this command added.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@which_sshd
def trust_ca(
    settings: Settings,
    *,
    keys: tuple[Path, ...],
    principals: tuple[str, ...],
    undo: bool,
    dry_run: bool,
    reload: bool,
    pid_file: Path | None,
    config: Path,
    sshd: str | None,
) -> None:
    """Make sshd trust certificates that an authority signs.

    Adds the authority's public key to TrustedUserCAKeys and, with --principal, adds names to the
    principals files of users. Authorities that sshd already trusts stay.
    """
    from fidokit.server.harden.application import plan_trust
    from fidokit.server.harden.authorities import TrustRequest
    from fidokit.server.harden.plan import HardeningTarget

    if undo == bool(keys) or (undo and principals):
        raise UsageError("name an authority's public key or --undo, and not both")
    request = None if undo else TrustRequest(keys, _by_user(principals))
    plan = plan_trust(request, HardeningTarget(config, sshd))
    carry_out(settings, plan, dry_run=dry_run, reload=reload or pid_file is not None, pid=pid_file)


def _by_user(principals: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for given in principals:
        user, equals, name = given.partition("=")
        if not equals or not user or not name:
            raise UsageError(
                f"--principal {shlex.quote(given)} is not USER=NAME", hint="such as bob=bob@laptop"
            )
        found.setdefault(user, []).append(name)
    return found
