"""`fidokit key sign`: sign files, as `ssh-keygen -Y sign`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fidokit.cli.options import verb
from fidokit.cli.passphrase import old_passphrase_option
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.cli.signer import agent_option, open_signer

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
@agent_option
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
    from fidokit.files.keyfile import pieces
    from fidokit.signing.signatures import sign, sign_file

    if STDIN in files and len(files) > 1:
        raise click.UsageError("sign either files or standard input")
    hash_name = _hash_of(options, hash_name)
    with open_signer(settings, key, agent=agent, passphrase_file=passphrase_file) as signer:
        if files in ((), (STDIN,)):
            message = pieces(sys.stdin.buffer)
            text = sign(signer, message, namespace=namespace, hash_name=hash_name)
            show(settings, {"signature": text}, Lines(text.splitlines()))
            return
        written = [
            sign_file(signer, file, namespace=namespace, hash_name=hash_name, force=force)
            for file in files
        ]
    data = {"signatures": [str(path) for path in written]}
    show(settings, data, Lines([f"Signed: {home_path(path)}" for path in written]))


def _hash_of(options: tuple[str, ...], hash_name: str) -> str:
    for option in options:
        name, _, value = option.partition("=")
        if name.lower() != "hashalg" or value not in HASHES:
            raise click.UsageError(f"-O {option} is not hashalg=sha512 or hashalg=sha256")
        hash_name = value
    return hash_name
