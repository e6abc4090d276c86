"""`fidokit key sign`: sign files, as `ssh-keygen -Y sign`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli.options import Settings, verb
from fidokit.cli.passphrase import old_passphrase, old_passphrase_option
from fidokit.cli.render import Lines, home_path, show

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fidokit.api import Signer

HASHES = ("sha512", "sha256")
STDIN = Path("-")


@verb(pin=True)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-f",
    "key",
    required=True,
    metavar="KEY",
    type=click.Path(path_type=Path),
    help="Private key file; or a .pub or -cert.pub file, for a key in the agent or beside it.",
)
@click.option(
    "-n", "namespace", default="file", show_default=True, help="What the signature is for."
)
@click.option("-U", "--agent", is_flag=True, help="Sign by the agent, and by nothing else.")
@click.option("--hash", "hash_name", type=click.Choice(HASHES), default="sha512", show_default=True)
@click.option("-O", "options", metavar="hashalg=HASH", multiple=True, help="The same as --hash.")
@click.option("--force", is_flag=True, help="Replace signatures that are in the way.")
@old_passphrase_option
def sign(
    settings: Settings,
    *,
    files: tuple[Path, ...],
    key: Path,
    namespace: str,
    agent: bool,
    hash_name: str,
    options: tuple[str, ...],
    force: bool,
    passphrase_file: str | None,
) -> None:
    """Sign each of FILES into FILE.sig, or standard input (also `-`) to standard output.

    The token that holds the key is found by itself. Ordinary keys sign, too.
    """
    from fidokit import api

    if STDIN in files and len(files) > 1:
        raise click.UsageError("sign either files or standard input")
    hash_name = _hash_of(options, hash_name)
    with open_signer(settings, key, agent=agent, passphrase_file=passphrase_file) as signer:
        if files in ((), (STDIN,)):
            message = api.pieces(sys.stdin.buffer)
            text = api.sign_by(signer, message, namespace=namespace, hash_name=hash_name)
            show(settings, {"signature": text}, Lines(text.splitlines()))
            return
        written = [
            api.sign_file_by(signer, file, namespace=namespace, hash_name=hash_name, force=force)
            for file in files
        ]
    data = {"signatures": [str(path) for path in written]}
    show(settings, data, Lines([f"Signed: {home_path(path)}" for path in written]))


def open_signer(
    settings: Settings, key: Path, *, agent: bool, passphrase_file: str | None
) -> AbstractContextManager[Signer]:
    """Whoever signs for a key file; a private one is never looked for in the agent."""
    from fidokit import api

    public = key.name.endswith(".pub")
    return api.open_signer(
        key,
        settings.person(),
        agent=True if agent else (None if public else False),
        passphrase=lambda path: old_passphrase(path, passphrase_file)(),
        selector=settings.token,
        spend_last_try=settings.spend_last_try,
    )


def _hash_of(options: tuple[str, ...], hash_name: str) -> str:
    for option in options:
        name, _, value = option.partition("=")
        if name.lower() != "hashalg" or value not in HASHES:
            raise click.UsageError(f"-O {option} is not hashalg=sha512 or hashalg=sha256")
        hash_name = value
    return hash_name
