"""`fidokit blob`: data that is kept on the token beside a resident key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from fidokit.cli import schema
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import old_passphrase, old_passphrase_option
from fidokit.cli.render import Column, Lines, Listing, home_path, show, write_raw
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError
from fidokit.prompt import questions, text
from fidokit.prompt.standard_input import standard_input
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.keys.blobs import BlobTable

COLUMNS = (Column("Application", "1"), Column("User"), Column("Size"), Column("On token"))
EMPTY = """No blobs of these keys on this token.
A key that can have one: fidokit key generate -O resident --large-blob"""
DAMAGED = "What was there is damaged, perhaps by a write that was cut short, and counts as nothing."

any_rp_option = click.option("--any-rp", is_flag=True, help="Include credentials of websites.")


@verb(pin=True)
@any_rp_option
def list_blobs(settings: Settings, *, any_rp: bool) -> None:
    """List the blobs of keys, and the remaining space."""
    from fidokit.keys import blobs

    with open_token(settings) as session:
        table = blobs.list_blobs(session, any_rp=any_rp)
    rows = [
        (
            row.key.application,
            row.key.user,
            str(row.size),
            None if row.stored is None else str(row.stored),
        )
        for row in table.blobs
    ]
    footer = "\n".join(_room(table))
    if not rows and footer and not settings.json:
        note(footer)
    show(settings, schema.blobs(table), Listing(COLUMNS, rows, EMPTY, footer))


def _room(table: BlobTable) -> list[str]:
    lines = [DAMAGED] if table.damaged else []
    if table.others:
        lines.append(f"{table.others} more belong to other applications or to deleted keys.")
    if table.used is not None:
        lines.append(f"{table.used} of {table.capacity} bytes are in use.")
    return lines


@verb(pin=True)
@click.argument("key")
@click.option(
    "-o", "output", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE."
)
@click.option("--force", is_flag=True, help="Replace FILE.")
@any_rp_option
@old_passphrase_option
def get(
    settings: Settings,
    *,
    key: str,
    output: Path | None,
    force: bool,
    any_rp: bool,
    passphrase_file: str | None,
) -> None:
    """Read a key's blob.

    Prints the blob byte for byte. KEY is a file, fingerprint, application, user, comment or
    credential ID.
    """
    from fidokit.keys.blobs import download_blob, get_blob

    secret = old_passphrase(passphrase_file)
    with open_token(settings) as session:
        if output is not None:
            size = download_blob(
                session, key, output, force=force, any_rp=any_rp, passphrase=secret
            )
            done = f"Wrote {size} bytes to {home_path(output)}."
            show(settings, {"path": str(output), "size": size}, Lines([done]))
            return
        blob = get_blob(session, key, any_rp=any_rp, passphrase=secret)
    if settings.json:
        show(settings, {"blob": blob.hex(), "size": len(blob)}, Lines([]))
    else:
        write_raw(blob)


@verb(pin=True)
@click.argument("key")
@click.argument("source", type=click.File("rb"), metavar="FILE")
@any_rp_option
@old_passphrase_option
def set_blob(
    settings: Settings, *, key: str, source: BinaryIO, any_rp: bool, passphrase_file: str | None
) -> None:
    """Store a blob for a key.

    The blob is FILE (- is standard input). KEY names a resident key that was made with
    --large-blob, by file, fingerprint, application, user, comment or credential ID. The blob is
    compressed and replaces the previous one.
    """
    from fidokit.keys import blobs
    from fidokit.keys.blobs import LARGEST_BLOB

    typed = source.fileno() == 0  # a terminal's end counts once
    blob = (standard_input() if typed else source).read(LARGEST_BLOB + 1)
    with open_token(settings) as session:
        blobs.set_blob(
            session, key, blob, any_rp=any_rp, passphrase=old_passphrase(passphrase_file)
        )
        done = f"Stored {text.count(len(blob), 'byte')} for {key} on {session.name}."
        show(settings, {**schema.on_token(session), "size": len(blob)}, Lines([done]))


@verb(pin=True)
@click.argument("keys", nargs=-1)
@click.option("--orphans", is_flag=True, help="Delete blobs that no key on the token can open.")
@click.option(
    "--all", "every", is_flag=True, help="Delete all blobs, including those of other applications."
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@any_rp_option
@old_passphrase_option
def delete(
    settings: Settings,
    *,
    keys: tuple[str, ...],
    orphans: bool,
    every: bool,
    yes: bool,
    any_rp: bool,
    passphrase_file: str | None,
) -> None:
    """Delete blobs.

    Deletes the blobs of KEYS from the token and keeps the keys. KEYS are files, fingerprints,
    applications, users, comments or credential IDs.
    """
    from fidokit.keys.blobs import delete_all_blobs, delete_blobs, delete_orphaned_blobs

    if bool(keys) + orphans + every != 1:
        raise UsageError("name the keys, or say --orphans, or --all")
    named = text.count(len(keys), "blob")
    what = "EVERY blob" if every else "the orphaned blobs" if orphans else named
    with open_token(settings) as session:
        if not yes:
            questions.require_yes(f"Delete {what} from {session.name} for good?")
        count: int | None = len(keys)
        if every:
            delete_all_blobs(session)
            count = None
        elif orphans:
            count = delete_orphaned_blobs(session)
        else:
            delete_blobs(session, keys, any_rp=any_rp, passphrase=old_passphrase(passphrase_file))
        done = "Deleted all." if count is None else f"Deleted {text.count(count, 'blob')}."
        show(settings, {**schema.on_token(session), "deleted": count}, Lines([done]))
