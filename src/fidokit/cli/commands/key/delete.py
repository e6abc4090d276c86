"""`fidokit key delete`: delete keys from the token."""

from __future__ import annotations

import click

from fidokit.cli import schema
from fidokit.cli.commands.key.names import key_name
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt import questions
from fidokit.prompt.text import note


@verb(pin=True)
@click.argument("keys", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--any-rp", is_flag=True, help="Also logins to websites.")
def delete(settings: Settings, *, keys: tuple[str, ...], yes: bool, any_rp: bool) -> None:
    """Delete the resident keys named by KEYS from the token; there is no way back.

    KEYS are fingerprints, files, applications, users, comments or credential ids; a name that
    fits several keys is refused. Files stay where they are, but are of no use afterwards.
    """
    from fidokit.keys.resident_keys import delete_key, list_keys, resolve

    with open_token(settings) as session:
        rows = list_keys(session, any_rp=any_rp, only_token=True)
        chosen = list({id(row): row for row in (resolve(key, rows) for key in keys)}.values())
        if not yes:
            note("\n".join(f"  {key_name(row)}" for row in chosen))
            what = "this key" if len(chosen) == 1 else f"these {len(chosen)} keys"
            questions.require_yes(f"Delete {what} from {session.name} for good?")
        for row in chosen:
            delete_key(session, row, any_rp=any_rp)
    lines = [f"Deleted {key_name(row)}." for row in chosen]
    left = [home_path(path) for row in chosen for path in row.files]
    lines += [f"These files are of no use now: {', '.join(left)}"] if left else []
    show(settings, {"deleted": [schema.key(row) for row in chosen]}, Lines(lines))
