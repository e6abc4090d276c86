"""`fidokit secret`: 32 bytes that a token derives from a salt, for age, LUKS and scripts."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from fidokit.cli import schema
from fidokit.cli.commands.key.generate import opened
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.errors import UsageError

if TYPE_CHECKING:
    from fidokit.keys.secrets import SecretFile, SecretForm
    from fidokit.tokens import Session

_FILE: Final = click.Path(dir_okay=False, path_type=Path)
TERMINAL: Final = "fidokit does not print raw bytes of a secret to a terminal"

also_option = click.option(
    "--also",
    metavar="SELECTOR",
    multiple=True,
    help="Also use this backup token. Can be repeated.",
)
also_pin_file_option = click.option(
    "--also-pin-file",
    metavar="FILE",
    multiple=True,
    help="Read the PIN of the --also token from FILE; in the same order.",
)


@verb(pin=True)
@click.argument("file", type=_FILE)
@click.option(
    "--application",
    metavar="NAME",
    help="The application of the credential.  [default: io.systemd.cryptsetup]",
)
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Ask for the PIN or a finger at each use.  [default: ask if the token has one]",
)
@click.option("--force", is_flag=True, help="Replace FILE.")
@also_option
@also_pin_file_option
def create(
    settings: Settings,
    *,
    file: Path,
    application: str | None,
    verify: bool | None,
    force: bool,
    also: tuple[str, ...],
    also_pin_file: tuple[str, ...],
) -> None:
    """Create a credential that derives secrets.

    FILE names the credential and its salt, and holds no secret. You need both FILE and the token to
    derive secrets. FILE has the format that systemd-cryptenroll writes to LUKS headers. With
    --also, the backup token makes a credential of its own, in FILE_backup.
    """
    from fidokit.keys.secrets import SYSTEMD_RP, beside, create_secret

    made: list[tuple[Path, SecretFile]] = []
    with opened(settings, also, also_pin_file) as sessions:
        try:
            for session, path in zip(sessions, beside(file, len(also)), strict=True):
                wanted = _has_proof(session) if verify is None else verify
                one = create_secret(
                    session,
                    path,
                    application=application or SYSTEMD_RP,
                    verified=wanted,
                    force=force,
                )
                made.append((path, one))
        finally:
            if made:
                _show_made(settings, made)


def _has_proof(session: Session) -> bool:
    return bool(session.info.pin_set or session.info.uv_configured)


def _show_made(settings: Settings, made: Sequence[tuple[Path, SecretFile]]) -> None:
    data = {"secrets": [schema.secret_file(path, file) for path, file in made]}
    lines = [f"Credential for secrets: {home_path(path)}" for path, _ in made]
    lines.append(f"Derive its secret: fidokit secret derive {home_path(made[0][0])} -o OUT")
    show(settings, data, Lines(lines))


@verb(pin=True)
@click.argument("file", type=_FILE)
@click.option("--salt", metavar="SALT", type=_FILE, help="The salt: a file of 32 bytes.")
@click.option("--salt-hex", metavar="HEX", help="The salt in hexadecimal digits.")
@click.option("--label", metavar="TEXT", help="The SHA-256 of TEXT as the salt.")
@click.option(
    "-o", "output", metavar="OUT", type=click.Path(path_type=Path), help="Write to OUT, mode 0600."
)
@click.option("--fd", metavar="N", type=int, help="Write to file descriptor N.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["raw", "hex", "base64", "age"]),
    default="raw",
    help="How to write the 32 bytes; age is an identity file.  [default: raw]",
)
@click.option(
    "--application",
    metavar="NAME",
    help="The application of a pam_u2f line, which does not name it.",
)
@click.option("--force", is_flag=True, help="Replace OUT.")
@also_option
@also_pin_file_option
def derive(
    settings: Settings,
    *,
    file: Path,
    salt: Path | None,
    salt_hex: str | None,
    label: str | None,
    output: Path | None,
    fd: int | None,
    form: str,
    application: str | None,
    force: bool,
    also: tuple[str, ...],
    also_pin_file: tuple[str, ...],
) -> None:
    """Derive 32 bytes from a salt, the same each time.

    FILE comes from `secret create`, from `cryptsetup token export` for a systemd-cryptenroll slot,
    or is a line of pam_u2f. The default salt is the one in FILE. Raw bytes are written to a file, a
    descriptor or a pipe, never to a terminal. With --also, the backup token derives its own,
    different secret from FILE_backup and writes it to OUT_backup.
    """
    from fidokit.keys import secrets
    from fidokit.keys.secrets import SecretForm, beside

    kind = SecretForm(form)
    _require_way(settings, kind, output=output, fd=fd, also=also)
    chosen = _salt(salt, salt_hex, label)
    sources = [
        secrets.read_secret_file(path, application=application) for path in beside(file, len(also))
    ]
    outputs = [] if output is None else beside(output, len(also))
    secrets.check_outputs(outputs, force=force)
    done: list[Path] = []
    with opened(settings, also, also_pin_file) as sessions:
        try:
            for number, (session, source) in enumerate(zip(sessions, sources, strict=True)):
                data = secrets.encoded(secrets.derive_secret(session, source, chosen), kind)
                if outputs:
                    secrets.write_secret(outputs[number], data, force=force)
                    done.append(outputs[number])
                else:
                    _write_out(data, fd)
        finally:
            if done:
                _show_derived(settings, done, kind)


def _require_way(
    settings: Settings,
    form: SecretForm,
    *,
    output: Path | None,
    fd: int | None,
    also: Sequence[str],
) -> None:
    """Refuse before the token is asked what would show the secret, or lose it."""
    if output is not None and fd is not None:
        raise UsageError("-o and --fd are two ways for one secret", hint="give one of them")
    if output is None and also:
        raise UsageError("two secrets need two files", hint="write them to files: -o OUT")
    if output is None and settings.json:
        raise UsageError("JSON never contains a secret", hint="write it to a file: -o OUT")
    if output is None and fd is None and form == "raw" and sys.stdout.isatty():
        raise UsageError(TERMINAL, hint="write it to a file with -o OUT, or give --format hex")


def _salt(file: Path | None, digits: str | None, label: str | None) -> bytes | None:
    given = [value for value in (file, digits, label) if value is not None]
    if len(given) > 1:
        raise UsageError("--salt, --salt-hex and --label exclude each other")
    if file is not None:
        from fidokit.keys.secrets import read_salt

        return read_salt(file)
    if digits is not None:
        try:
            return bytes.fromhex(digits)
        except ValueError:
            raise UsageError("--salt-hex takes hexadecimal digits alone") from None
    if label is not None:
        import hashlib

        return hashlib.sha256(label.encode("utf-8", "surrogateescape")).digest()
    return None


def _write_out(data: bytes, fd: int | None) -> None:
    if fd is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError as error:
        raise UsageError(f"file descriptor {fd} cannot be written: {error.strerror}") from None


def _show_derived(settings: Settings, paths: Sequence[Path], form: SecretForm) -> None:
    data = {"derived": [{"path": str(path), "format": str(form)} for path in paths]}
    show(settings, data, Lines([f"Secret: {home_path(path)}" for path in paths]))


@verb()
@click.argument("file", type=_FILE)
@click.option("--pam-u2f", "user", metavar="USER", help="Print the pam_u2f line that lets USER in.")
@click.option(
    "--systemd", is_flag=True, help="Print the token for a LUKS header, in the format of systemd."
)
@click.option(
    "--application",
    metavar="NAME",
    help="The application of a pam_u2f line, which does not name it.",
)
def show_one(
    settings: Settings, *, file: Path, user: str | None, systemd: bool, application: str | None
) -> None:
    """Show a credential for secrets, or its line for another program.

    FILE is the same as for `secret derive`. With --systemd, prints what `cryptsetup token import`
    reads. With --pam-u2f, prints a line for pam_u2f's authfile; make the credential with
    --application pam://HOST.
    """
    from fidokit.keys.secrets import read_secret_file

    found = read_secret_file(file, application=application)
    if user is not None and systemd:
        raise UsageError("--pam-u2f and --systemd exclude each other")
    if user is not None:
        lines = [found.pam_u2f_line(user)]
    elif systemd:
        lines = found.systemd_token().rstrip("\n").split("\n")
    else:
        held = found.credential
        lines = [
            f"application  {held.application}",
            f"credential   {held.credential_id.hex()[:32]}... ({len(held.credential_id)} bytes)",
            f"verify       {'yes' if held.verified else 'no'}",
            f"salt         {found.salt.hex() if found.salt else 'none: give one to derive'}",
        ]
    show(settings, {"secret": schema.secret_file(file, found)}, Lines(lines))
