"""`fidokit key delete`: delete keys from the token."""

from __future__ import annotations

import click

from fidokit.cli import ask, schema
from fidokit.cli.commands.key.names import key_name
from fidokit.cli.options import Settings, verb
from fidokit.cli.render import Lines, home_path, note, show


@verb(pin=True)
@click.argument("keys", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--any-rp", is_flag=True, help="Also logins to websites.")
def delete(settings: Settings, *, keys: tuple[str, ...], yes: bool, any_rp: bool) -> None:
    """Delete the resident keys named by KEYS from the token; there is no way back.

    KEYS are fingerprints, files, applications, users, comments or credential ids; a name that
    fits several keys is refused. Files stay where they are, but are of no use afterwards.
    """
    from fidokit import api

    with settings.open_token() as session:
        rows = api.list_keys(session, any_rp=any_rp, only_token=True)
        chosen = list({id(row): row for row in (api.resolve(key, rows) for key in keys)}.values())
        if not yes:
            note("\n".join(f"  {key_name(row)}" for row in chosen))
            what = "this key" if len(chosen) == 1 else f"these {len(chosen)} keys"
            ask.require_yes(f"Delete {what} from {session.name} for good?")
        for row in chosen:
            api.delete_key(session, row, any_rp=any_rp)
    lines = [f"Deleted {key_name(row)}." for row in chosen]
    left = [home_path(path) for row in chosen for path in row.files]
    lines += [f"These files are of no use now: {', '.join(left)}"] if left else []
    show(settings, {"deleted": [schema.key(row) for row in chosen]}, Lines(lines))
