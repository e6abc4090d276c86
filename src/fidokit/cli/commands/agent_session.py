"""`fidokit agent session`: one touch, and then as many logins as a command makes."""

from __future__ import annotations

import getpass
import shutil
import socket
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli import schema
from fidokit.cli.commands.agent import seconds_of
from fidokit.cli.options import verb
from fidokit.cli.passphrase import agent_option, old_passphrase_option, open_signer
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError
from fidokit.prompt.text import escape, note

if TYPE_CHECKING:
    from fidokit.agent.session.opening import OpenSession, SessionPlan
    from fidokit.signing.signers import Signer

PATH = click.Path(path_type=Path)


@verb(pin=True)
@click.argument("lasts", metavar="TIME")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--hosts",
    metavar="PATTERN",
    multiple=True,
    help="Allow logins only to these hosts: [user@]host with * and ?, or host>[user@]host for "
    "logins from one host to the next. Separate several by commas.  [default: anywhere]",
)
@click.option(
    "-H",
    "known_hosts",
    metavar="FILE",
    multiple=True,
    type=PATH,
    help="The file with the keys of these hosts.  [default: known_hosts, as for ssh]",
)
@click.option(
    "--principal",
    "principals",
    metavar="NAME",
    multiple=True,
    help="The principals of the certificate, separated by commas.  [default: your user name]",
)
@click.option(
    "-s",
    "authority",
    metavar="CA",
    type=PATH,
    help="The token key that signs: its private file, or its .pub file if the agent holds the "
    "key.  [default: the only one in ~/.ssh]",
)
@agent_option
@click.option(
    "-O",
    "options",
    metavar="OPTION",
    multiple=True,
    help="clear, no-pty, source-address=... and others of ssh-keygen(1).",
)
@old_passphrase_option
@click.pass_context
def session(ctx: click.Context, /, settings: Settings, **given: Any) -> None:
    """Run COMMAND with a key that one touch lets in to many hosts.

    The token signs a certificate that expires after TIME, such as 10m. Its key exists only in the
    memory of one process, until COMMAND ends. COMMAND finds this key, and no other, by
    SSH_AUTH_SOCK. Servers must trust the token's key: `fidokit server authorize --as-authority` or
    `fidokit server trust-ca`. The exit status is that of COMMAND. For example:

    \b
      fidokit agent session 10m --hosts '*.example' -- ansible-playbook site.yml
    """
    from fidokit.agent.session import opening

    command = _found(given["command"])
    plan = opening.plan_session(_wish(given))
    key = given["authority"] or opening.only_authority(Path.home() / ".ssh")

    def authority() -> AbstractContextManager[Signer]:
        where = {"agent": given["agent"], "passphrase_file": given["passphrase_file"]}
        return open_signer(settings, key, **where)

    with opening.open_session(plan, authority) as opened:
        if settings.json:
            show(settings, {"session": schema.agent_session(opened, plan)}, Lines([]))
            sys.stdout.flush()  # before the command prints anything
        note(_opened(plan, opened, given["hosts"]))
        status = opening.run_in_session(opened, command, _Watch(opened))
    ctx.exit(status)


def _found(command: tuple[str, ...]) -> tuple[str, ...]:
    """Before there is a touch for nothing."""
    if shutil.which(command[0]) is None:
        raise UsageError(f"there is no program {command[0]!r}", hint="name it behind --")
    return command


def _wish(given: dict[str, Any]) -> Any:
    from fidokit.agent.session.opening import SessionWish

    return SessionWish(
        seconds=seconds_of(given["lasts"]),
        principals=_parts(given["principals"]) or [getpass.getuser()],
        key_id=f"fidokit session of {getpass.getuser()}@{socket.gethostname()}",
        hosts=_parts(given["hosts"]),
        known_hosts=given["known_hosts"],
        options=given["options"],
    )


def _parts(given: tuple[str, ...]) -> list[str]:
    return [part for one in given for part in one.split(",")]


def _opened(plan: SessionPlan, opened: OpenSession, hosts: tuple[str, ...]) -> str:
    until = time.strftime("%H:%M:%S", time.localtime(opened.certificate.valid_before))
    names = ", ".join(opened.certificate.principals)
    count = plan.host_keys
    keys = "1 host key" if count == 1 else f"{count} host keys"
    where = f"for {', '.join(_parts(hosts))} ({keys})" if hosts else "for any host"
    return escape(f"session: open until {until}, as {names}, {where}")


class _Watch:
    """Says once that the session is over before the command is."""

    def __init__(self, opened: OpenSession) -> None:
        self._opened = opened
        self._said = False

    def __call__(self) -> None:
        if not self._said and self._opened.over:
            self._said = True
            note("session: the session has ended; the command continues without its key")
