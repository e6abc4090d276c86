"""`fidokit key show`: fingerprints or public lines of files; no token needed."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, cast

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import write_json, write_lines
from fidokit.cli.settings import Settings
from fidokit.prompt.text import note

if TYPE_CHECKING:
    from fidokit.keys.fingerprints import HashName, ShownKey


@verb()
@click.argument("files", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option(
    "--hash",
    "-E",
    "hash_name",
    type=click.Choice(["sha256", "md5"]),
    default="sha256",
    show_default=True,
    help="Hash of the fingerprint.",
)
@click.option("--randomart", is_flag=True, help="Draw the fingerprint, as ssh-keygen -lv does.")
@click.option(
    "--bubblebabble", is_flag=True, help="Print the pronounceable digest, as ssh-keygen -B does."
)
@click.option(
    "--public", is_flag=True, help="Print the public lines instead, as ssh-keygen -y does."
)
def show(
    settings: Settings,
    *,
    files: tuple[str, ...],
    hash_name: str,
    randomart: bool,
    bubblebabble: bool,
    public: bool,
) -> None:
    """Show fingerprints or public lines of files.

    Prints the fingerprints of the keys in FILES as `ssh-keygen -l` does. FILES are public or
    private key files, certificates, authorized_keys, or - for standard input. Needs no passphrase
    and no token.
    """
    from fidokit.keys.fingerprints import fingerprint_lines

    chosen = cast("HashName", "bubblebabble" if bubblebabble else hash_name)
    if settings.json:
        write_json({"keys": [schema.shown(key) for key in _keys(files, chosen)]})
    elif public:
        from pathlib import Path

        from fidokit.keys.key_files import public_lines

        write_lines(public_lines(map(Path, files)))
    elif randomart:
        write_lines(chain.from_iterable(map(_with_art, _keys(files, chosen))))
    else:
        write_lines(chain.from_iterable(fingerprint_lines(f, hash_name=chosen) for f in files))
    if not settings.json:
        _name_certificates(files)


def _name_certificates(files: tuple[str, ...]) -> None:
    """Say which of the keys have a certificate beside them, which nobody named."""
    for file in files:
        beside = f"{file.removesuffix('.pub')}-cert.pub"
        if beside not in files and os.path.isfile(beside):  # noqa: PTH113  a 40th of the time
            note(f"A certificate of it is beside it: fidokit cert show {shlex.quote(beside)}")


def _keys(files: tuple[str, ...], hash_name: HashName) -> Iterator[ShownKey]:
    from fidokit.keys import fingerprints

    for file in files:
        yield from fingerprints.show(file, hash_name=hash_name, randomart=True)


def _with_art(key: ShownKey) -> list[str]:
    line = f"{key.bits} {key.fingerprint} {key.comment} ({key.type_label})"
    return [line, *key.randomart.splitlines()]
