"""`fidokit key sign`: sign files, as `ssh-keygen -Y sign`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fidokit.cli.options import Settings, verb
from fidokit.cli.passphrase import old_passphrase, old_passphrase_option
from fidokit.cli.render import Lines, home_path, show


@verb(pin=True)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "-f",
    "key",
    required=True,
    metavar="KEY",
    type=click.Path(path_type=Path),
    help="Private key file.",
)
@click.option(
    "-n", "namespace", default="file", show_default=True, help="What the signature is for."
)
@click.option(
    "--hash",
    "hash_name",
    type=click.Choice(["sha512", "sha256"]),
    default="sha512",
    show_default=True,
)
@click.option("--force", is_flag=True, help="Replace signatures that are in the way.")
@old_passphrase_option
def sign(
    settings: Settings,
    *,
    files: tuple[Path, ...],
    key: Path,
    namespace: str,
    hash_name: str,
    force: bool,
    passphrase_file: str | None,
) -> None:
    """Sign each of FILES into FILE.sig, or standard input to standard output.

    The token that holds the key is found by itself.
    """
    from fidokit import api

    private = api.open_key(key, passphrase=old_passphrase(key, passphrase_file))
    with api.token_for_key(
        private,
        settings.person(),
        selector=settings.token,
        spend_last_try=settings.spend_last_try,
    ) as session:
        if not files:
            message = sys.stdin.buffer.read()
            text = api.sign(session, private, message, namespace=namespace, hash_name=hash_name)
            show(settings, {"signature": text}, Lines(text.splitlines()))
            return
        written = [
            api.sign_file(
                session, private, file, namespace=namespace, hash_name=hash_name, force=force
            )
            for file in files
        ]
    data = {"signatures": [str(path) for path in written]}
    show(settings, data, Lines([f"Signed: {home_path(path)}" for path in written]))
