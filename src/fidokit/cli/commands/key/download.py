"""`fidokit key download`: recover key files from the token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.commands.key.names import key_name
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import new_passphrase, new_passphrase_options
from fidokit.cli.render import Check, Checks, home_path, show
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.keys.resident_keys import DownloadResult

EMPTY = """No resident SSH keys on this token, so there is nothing to recover.
A key made with -O resident can be: fidokit key generate -O resident"""


@verb(pin=True)
@click.argument("keys", nargs=-1)
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where to write the files.  [default: the current folder]",
)
@click.option(
    "--name",
    "template",
    metavar="TEMPLATE",
    help="File names, with {type} {application} {user} {fingerprint} {id}.",
)
@click.option("--any-rp", is_flag=True, help="Also keys whose application is not ssh:.")
@new_passphrase_options
@click.pass_context
def download(
    ctx: click.Context,
    settings: Settings,
    *,
    keys: tuple[str, ...],
    folder: Path | None,
    template: str | None,
    any_rp: bool,
    passphrase_file: str | None,
    no_passphrase: bool,
    rounds: int,
) -> None:
    """Write the resident keys of the token to files: all, or those named by KEYS.

    Files are named as `ssh-keygen -K` names them (id_ed25519_sk_rk_NAME). Nothing is ever
    overwritten: where something is in the way the others are written all the same, and the exit
    status is 9. KEYS are fingerprints, files, applications, users or comments.
    """
    from fidokit.keys import resident_keys

    with open_token(settings) as session:
        results = list(
            resident_keys.download(
                session,
                folder,
                selectors=keys,
                any_rp=any_rp,
                template=template,
                passphrase=new_passphrase(passphrase_file, none=no_passphrase),
                rounds=rounds,
            )
        )
    if results or settings.json:
        data = {"keys": [schema.downloaded(result) for result in results]}
        show(settings, data, Checks([_line(result) for result in results]))
    else:
        note(EMPTY)
    if refused := [result.error for result in results if result.error]:
        ctx.exit(_worst([error.exit_code for error in refused]))


def _line(result: DownloadResult) -> Check:
    if result.error is None:
        return Check("saved", "32", home_path(result.path), key_name(result.row))
    return Check(
        "NOT SAVED", "1;31", f"{key_name(result.row)}: {result.error.message}", result.error.hint
    )


def _worst(codes: list[ExitCode]) -> ExitCode:
    """9 where files were in the way and nothing worse happened."""
    return next((code for code in codes if code is not ExitCode.WOULD_OVERWRITE), codes[0])
