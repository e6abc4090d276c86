"""`fidokit key list`: what is on the token, joined with the files here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.commands.key.names import yes_no
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Column, Listing, home_path, show
from fidokit.cli.settings import Settings

if TYPE_CHECKING:
    from fidokit.inventory import KeyRow
    from fidokit.keys.backup import Backup

COLUMNS = (
    Column("Application", "bold"),
    Column("User"),
    Column("Type"),
    Column("Fingerprint", "cyan"),
    Column("Comment"),
    Column("Verify"),
    Column("On token"),
    Column("Backup"),
    Column("Created"),
    Column("File"),
)
EMPTY_STORE = """No keys on this token yet.
Create one: fidokit key generate -t ed25519-sk -O resident"""
NO_FILES = "No key files found. Create one: fidokit key generate"


@verb(pin=True)
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--only-token", is_flag=True, help="Leave out files whose key is not on the token.")
@click.option("--no-token", is_flag=True, help="List files alone; no token and no PIN is needed.")
@click.option("--any-rp", is_flag=True, help="Also logins to websites.")
@click.option(
    "--remember/--no-remember",
    default=None,
    help="Keep the right to list this token, so that the next time needs no PIN; or do not use it.",
)
def list_keys(
    settings: Settings,
    *,
    folders: tuple[Path, ...],
    only_token: bool,
    no_token: bool,
    any_rp: bool,
    remember: bool | None,
) -> None:
    """List the keys on the token and the files they have in ~/.ssh and in FOLDERS.

    Keys that are not resident are known by their files alone. Backup says whether a key has one
    on another token, made with `key generate --also`; the loss of a token is the loss of a key
    that has none.

    With --remember (tokens of CTAP 2.2 and later) a right to read is kept in a file of yours:
    whoever has that file and the token can list what is on it, but neither sign nor change
    anything. It ends when the PIN is changed, or with `fidokit token forget`.
    """
    from fidokit.keys import resident_keys
    from fidokit.keys.backup import backup_states

    if no_token:
        rows = resident_keys.list_keys(None, folders=folders)
    else:
        with open_token(settings) as session:
            rows = resident_keys.list_keys(
                session, folders=folders, any_rp=any_rp, only_token=only_token, remember=remember
            )
    states = backup_states(rows)
    cells = [_cells(row, state) for row, state in zip(rows, states, strict=True)]
    listing = Listing(COLUMNS, cells, NO_FILES if no_token else EMPTY_STORE)
    keys = [
        {**schema.key(row), **schema.backup(state)} for row, state in zip(rows, states, strict=True)
    ]
    show(settings, {"keys": keys}, listing)


def _cells(row: KeyRow, backup: Backup) -> tuple[str | None, ...]:
    created = row.created.astimezone().strftime("%Y-%m-%d") if row.created else None
    files = ", ".join(home_path(path) for path in row.files)
    return (
        row.application,
        row.user,
        str(row.key_type) if row.key_type else "other",
        row.fingerprint,
        row.comment,
        yes_no(row.verify_required),
        yes_no(row.on_token),
        str(backup),
        created,
        files or "only on the token",
    )
