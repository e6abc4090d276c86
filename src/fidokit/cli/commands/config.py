"""`fidokit config`: settings that the token itself keeps."""

from __future__ import annotations

import click

from fidokit.cli import schema
from fidokit.cli.options import Settings, verb
from fidokit.cli.render import Lines, show


@verb(pin=True)
@click.argument("state", type=click.Choice(["on", "off"]), required=False)
def always_uv(settings: Settings, *, state: str | None) -> None:
    """See or set whether the token wants its PIN or fingerprint at every use.

    While it is on, every key on the token acts as if it were made with verify-required.
    """
    from fidokit import api

    with settings.open_token() as session:
        on = api.always_uv(session, None if state is None else state == "on")
        said = f"always-uv is {'on' if on else 'off'} on {session.name}."
        show(settings, {**schema.on_token(session), "always_uv": on}, Lines([said]))
