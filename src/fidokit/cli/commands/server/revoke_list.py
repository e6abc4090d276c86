"""`fidokit server revoke-list`: the keys that sshd lets in nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.server.authorize.revocation_list import RevocationList


@verb(pin=True)
@click.argument("keys", nargs=-1)
@click.option(
    "--file",
    "path",
    metavar="FILE",
    help="The list.  [default: what sshd's RevokedKeys names, or /etc/ssh/revoked_keys]",
)
@click.option(
    "--of-token", is_flag=True, help="Also revoke all other keys of the token that made KEYS."
)
@click.option("--take-back", is_flag=True, help="Remove the keys from the list.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
def revoke_list(
    settings: Settings,
    *,
    keys: tuple[str, ...],
    path: str | None,
    of_token: bool,
    take_back: bool,
    dry_run: bool,
) -> None:
    """Revoke keys on the whole machine (RevokedKeys).

    KEYS are public key files, SHA256:... fingerprints, or gh:NAME and the like. sshd refuses a key
    on the list, and its certificates, for every account on this machine. Without KEYS, shows the
    list.
    """
    from fidokit.server.authorize.authorization import named_blobs
    from fidokit.server.authorize.download import fetch
    from fidokit.server.authorize.revocation_list import change_list

    if of_token and not keys:
        raise click.UsageError("--of-token goes with a key of that token")
    if take_back and not keys:
        raise click.UsageError("--take-back goes with the keys to take off the list")
    wanted = named_blobs(keys, fetch)
    if of_token:
        wanted |= _of_token(settings, keys, wanted)
    chosen = Path(path) if path else None
    done = change_list(wanted, path=chosen, take_back=take_back, dry_run=dry_run)
    show(settings, {"revoked": schema.revocation_list(done)}, Lines([*_lines(done, dry_run)]))


def _of_token(
    settings: Settings, keys: tuple[str, ...], wanted: dict[str, bytes]
) -> dict[str, bytes]:
    """The blobs of all keys of the token that made one of the keys, as far as they can be known."""
    from fidokit.cli.interaction import open_token
    from fidokit.keys.token_keys import keys_of_token

    with open_token(settings) as session:
        found = keys_of_token(session)
    if not found.has_any(wanted):
        raise click.UsageError(
            f"the token that is plugged in did not make {keys[0]}; its other keys are known to it "
            "alone: plug it in, or name them"
        )
    for path in found.unknown:
        note(f"warning: whether the key in {path} is on this token is not known: name it, if it is")
    if not found.listed:
        note("warning: this token lists no resident keys; name those that are in no file")
    return dict(found.blobs)


def _lines(done: RevocationList, dry_run: bool) -> Iterator[str]:
    would = "would be " if dry_run else ""
    for word, prints in (
        (f"{would}revoked", done.added),
        (f"{would}taken back", done.removed),
        ("was as wanted", done.present),
    ):
        yield from (f"{word}  {print_}" for print_ in prints)
    if not done.added and not done.removed and not done.present:
        yield from (f"revoked  {print_}" for print_ in done.keys)
    number = len(done.keys)
    more = f", {done.certificates} entries about certificates" if done.certificates else ""
    yield f"List: {done.path} ({number} {'key' if number == 1 else 'keys'}{more})"
    if done.confirmed is not None:
        yield "ssh-keygen agrees." if done.confirmed else "ssh-keygen does not agree."
    if done.read_by_sshd is None:
        yield f"Whether sshd reads it is not known: {done.why}"
    elif done.advice:
        yield "sshd does not read it yet. To have it read:"
        yield from (f"  {command}" for command in done.advice)
