"""`fidokit key passphrase` and `flags`: what is changed in a key file; no token needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.commands.key.generate import NO_TOUCH
from fidokit.cli.options import verb
from fidokit.cli.passphrase import (
    PassphraseOption,
    new_passphrase,
    old_passphrase,
    old_passphrase_option,
    rounds_option,
)
from fidokit.cli.render import Facts, Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.keys.key_files import KeyFile


@verb()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--passphrase-file",
    cls=PassphraseOption,
    metavar="FILE",
    help="Read the current passphrase from FILE (- is standard input).",
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
    """Change a key file's passphrase.

    FILE is the private key file, as for `ssh-keygen -p`. Needs no token.
    """
    from fidokit.keys.key_files import change_passphrase

    secret = new_passphrase(new_passphrase_file, none=no_passphrase)
    # asks for the old one first, and for the new one only where the old one is right
    change_passphrase(file, old=old_passphrase(passphrase_file), new=secret, rounds=rounds)
    new = secret(file)  # known by now
    said = (
        f"{home_path(file)} is now {'under the new passphrase' if new else 'without passphrase'}."
    )
    show(settings, {"path": str(file), "encrypted": bool(new)}, Lines([said]))


@verb()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--touch/--no-touch", default=None, help="Ask for a touch at each use, or not.")
@click.option("--verify/--no-verify", default=None, help="Ask for the PIN at each use, or not.")
@old_passphrase_option
def flags(
    settings: Settings,
    *,
    file: Path,
    touch: bool | None,
    verify: bool | None,
    passphrase_file: str | None,
) -> None:
    """Show or change what a key file asks for.

    FILE is the private key file. Needs no token. The file decides what ssh asks for; the server and
    the token can still refuse. A key without a touch also needs `no-touch-required` before its line
    in authorized_keys.
    """
    from fidokit.keys.key_files import describe_key_file, set_key_flags

    secret = old_passphrase(passphrase_file)
    if touch is None and verify is None:
        found = describe_key_file(file, passphrase=secret)
        show(settings, {"file": schema.key_file(found)}, Facts(home_path(file), _facts(found)))
        return
    change = set_key_flags(file, touch=touch, verify=verify, passphrase=secret)
    names = ", ".join(schema.flag_names(change.after)) or "none"
    said = f"{'Changed' if change.changed else 'As it was'}: {home_path(file)} has {names}."
    show(settings, {"file": schema.flags_change(change)}, Lines([said]))
    if touch is False and change.changed:
        note(NO_TOUCH)


def _facts(found: KeyFile) -> list[tuple[str, str]]:
    names = ["not known"] if found.flags is None else schema.flag_names(found.flags)
    pairs = [
        ("type", found.type_label),
        ("fingerprint", found.fingerprint),
        ("application", found.application),
        ("comment", found.comment),
        ("passphrase", "yes" if found.encrypted else "no"),
        ("flags", ", ".join(names) or "none"),
    ]
    return pairs + [("note", warning) for warning in found.warnings]
