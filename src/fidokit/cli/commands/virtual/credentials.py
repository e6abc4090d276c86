"""`fidokit virtual export-credentials` and `import-credentials`: in WebDriver's form."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from fidokit.cli.interaction import TerminalInteraction
from fidokit.cli.options import verb
from fidokit.cli.passphrase import known_if_sealed, seal_passphrase_option
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.lab.named_tokens import serve_virtual
from fidokit.prompt.text import note


def _plugged(
    settings: Settings, name: str, passphrase_file: str | None
) -> AbstractContextManager[Any]:
    words = known_if_sealed(name, passphrase_file)
    return serve_virtual(name, passphrase=words, interaction=TerminalInteraction(settings))


def _counted(credentials: Sequence[object]) -> str:
    return f"{len(credentials)} credential{'' if len(credentials) == 1 else 's'}"


@verb()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@seal_passphrase_option
def export_credentials(
    settings: Settings, *, name: str, file: Path, passphrase_file: str | None
) -> None:
    """Write a virtual token's credentials in the form of WebDriver.

    FILE gets a JSON list, as WebDriver's virtual authenticators take it. It has the private keys of
    the token NAME in plain: whoever has it can log in with them.
    """
    from fidokit.lab.webdriver import base64url, export_credentials, write_credentials

    with _plugged(settings, name, passphrase_file) as token:
        found = export_credentials(token)
    write_credentials(file, found.credentials)
    for left_out in found.left_out:
        note(f"Left out {base64url(left_out)}: the form has no RSA keys that sign with PSS.")
    what = _counted(found.credentials)
    data = {
        "exported": str(file),
        "credentials": [one["credentialId"] for one in found.credentials],
        "left_out": [base64url(one) for one in found.left_out],
    }
    show(settings, data, Lines([f"Wrote {what} of virtual:{name} to {home_path(file)}."]))


@verb()
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@seal_passphrase_option
def import_credentials(
    settings: Settings, *, name: str, file: Path, passphrase_file: str | None
) -> None:
    """Put credentials in the form of WebDriver onto a virtual token.

    FILE has one credential or a list, as `virtual export-credentials` and browsers' virtual
    authenticators give them. All of them get onto the token NAME, or none.
    """
    from fidokit.lab.webdriver import base64url, import_credentials, read_credentials

    given = read_credentials(file)
    with _plugged(settings, name, passphrase_file) as token:
        made = import_credentials(token, given)
    data = {"token": f"virtual:{name}", "credentials": [base64url(one) for one in made]}
    show(settings, data, Lines([f"Put {_counted(made)} onto virtual:{name}."]))
