"""`fidokit key passphrase`: change, set or remove a key file's passphrase."""

from __future__ import annotations

from pathlib import Path

import click

from fidokit.cli.options import verb
from fidokit.cli.passphrase import PassphraseOption, new_passphrase, old_passphrase, rounds_option
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings


@verb()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--passphrase-file",
    cls=PassphraseOption,
    metavar="FILE",
    help="Read the present passphrase from FILE (- is standard input).",
)
@click.option(
    "--new-passphrase-file",
    cls=PassphraseOption,
    metavar="FILE",
    help="Read the new passphrase from FILE (- is standard input).",
)
@click.option("--no-passphrase", cls=PassphraseOption, is_flag=True, help="Remove it.")
@rounds_option
def passphrase(
    settings: Settings,
    *,
    file: Path,
    passphrase_file: str | None,
    new_passphrase_file: str | None,
    no_passphrase: bool,
    rounds: int,
) -> None:
    """Change the passphrase of the private key FILE, as `ssh-keygen -p`. Needs no token."""
    from fidokit.keys.key_files import change_passphrase, describe

    old = old_passphrase(file, passphrase_file)
    known = old() if describe(file).encrypted else b""  # the old one first, as people expect
    new = new_passphrase(new_passphrase_file, none=no_passphrase)(file)
    change_passphrase(file, old=lambda: known, new=new, rounds=rounds)
    said = (
        f"{home_path(file)} is now {'under the new passphrase' if new else 'without passphrase'}."
    )
    show(settings, {"path": str(file), "encrypted": bool(new)}, Lines([said]))
