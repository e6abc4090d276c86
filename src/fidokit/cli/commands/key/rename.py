"""`fidokit key rename`: change the comment stored with a key on the token."""

from __future__ import annotations

import click

from fidokit.cli import schema
from fidokit.cli.commands.key.names import key_name
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings


@verb(pin=True)
@click.argument("key")
@click.argument("comment", required=False)
@click.option("--user-name", metavar="TEXT", help="Change the user name that is displayed.")
@click.option("--any-rp", is_flag=True, help="Also logins to websites.")
def rename(
    settings: Settings, *, key: str, comment: str | None, user_name: str | None, any_rp: bool
) -> None:
    """Give KEY another COMMENT on the token.

    KEY is a fingerprint, file, application, user, comment or credential id. The key itself,
    its application and its user stay, so files and servers are not affected.
    """
    from fidokit.keys.resident_keys import list_keys, rename_key, resolve

    if comment is None and user_name is None:
        raise click.UsageError("say the new comment, or --user-name")
    with open_token(settings) as session:
        rows = list_keys(session, any_rp=any_rp, only_token=True)
        row = resolve(key, rows)
        rename_key(session, row, comment=comment, user_name=user_name, any_rp=any_rp)
    data = {"renamed": {**schema.key(row), "new_comment": comment, "new_user_name": user_name}}
    show(settings, data, Lines([f"Renamed {key_name(row)}."]))
