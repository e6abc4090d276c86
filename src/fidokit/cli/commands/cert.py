"""`fidokit cert sign`, `store` and `show`: OpenSSH certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fidokit.cli import schema
from fidokit.cli.interaction import open_token
from fidokit.cli.options import verb
from fidokit.cli.passphrase import agent_option, old_passphrase_option, open_signer
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.errors import FidokitError
from fidokit.prompt.text import escape, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fidokit.signing.certificates import (
        CertificateRequest,
        IssuedCertificate,
        KeptCertificate,
    )

PATH = click.Path(path_type=Path)


@verb(pin=True)
@click.argument("keys", nargs=-1, required=True, type=PATH)
@click.option(
    "-s",
    "authority",
    required=True,
    metavar="CA",
    type=PATH,
    help="The authority's private file, or its .pub file if the agent holds the key.",
)
@agent_option
@click.option("-I", "key_id", required=True, metavar="ID", help="The ID that sshd logs.")
@click.option("-h", "--host", is_flag=True, help="Make host certificates, not user certificates.")
@click.option("-n", "principals", metavar="NAMES", help="User or host names, separated by commas.")
@click.option(
    "-V",
    "validity",
    metavar="TIMES",
    help="The validity, such as +52w or -1d:+52w.  [default: always:forever]",
)
@click.option(
    "-O",
    "options",
    metavar="OPTION",
    multiple=True,
    help="clear, no-pty, force-command=..., verify-required and others of ssh-keygen(1).",
)
@click.option(
    "-z", "serial", metavar="N", default="0", help="The serial number; +N adds one for each key."
)
@click.option(
    "--on-token", is_flag=True, help="Also store the certificates on the token, beside their keys."
)
@click.option("--force", is_flag=True, help="Replace certificates that are in the way.")
@old_passphrase_option
def sign(
    settings: Settings,
    *,
    keys: tuple[Path, ...],
    authority: Path,
    agent: bool,
    serial: str,
    on_token: bool,
    force: bool,
    passphrase_file: str | None,
    **said: Any,
) -> None:
    """Certify public keys with an authority's key.

    Writes a certificate for each of KEYS to KEY-cert.pub, as `ssh-keygen -s` does. The authority's
    key is on a token, in a file or in the agent. With --on-token, also stores each certificate on
    the token that holds KEY, as `cert store` does.
    """
    from fidokit.signing.certificates import certificate_request, issue_certificate
    from fidokit.signing.records import note_certificates

    numbers = _numbers(serial, len(keys))
    request = certificate_request(said.pop("key_id"), **said)
    _warn(request)
    with open_signer(settings, authority, agent=agent, passphrase_file=passphrase_file) as signer:
        issued = [
            issue_certificate(signer, key, request, serial=number, force=force)
            for key, number in zip(keys, numbers, strict=True)
        ]
    note_certificates(note, issued)
    stored = _also_on_token(settings, issued, force=force) if on_token else []
    data = {"certificates": [schema.certificate(one) for one in issued], **_stored_on(stored)}
    show(settings, data, Lines([*map(_said, issued), *map(_kept, stored)]))


def _also_on_token(
    settings: Settings, issued: Sequence[IssuedCertificate], *, force: bool
) -> list[KeptCertificate]:
    try:
        return _store(settings, [one.path for one in issued], force=force)
    except FidokitError:
        note("\n".join(escape(_said(one)) for one in issued))  # they were written
        raise


sign.context_settings["help_option_names"] = ["--help"]  # -h is for hosts, as ssh-keygen has it


def _numbers(text: str, count: int) -> range | list[int]:
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 20):
        raise click.UsageError(f"-z {text} is not a number")
    first = int(digits)
    return range(first, first + count) if text.startswith("+") else [first] * count


def _warn(request: CertificateRequest) -> None:
    if not request.principals:
        note("Without -n the certificate names nobody, and sshd lets nobody in with it.")


def _said(one: IssuedCertificate) -> str:
    facts = one.facts
    names = f" for {','.join(facts.principals)}" if facts.principals else ""
    return (
        f'Signed {facts.kind} key {home_path(one.path)}: id "{facts.key_id}" '
        f"serial {facts.serial}{names} valid {facts.valid}"
    )


@verb(pin=True)
@click.argument("files", nargs=-1, required=True, metavar="CERT...", type=PATH)
@click.option("--force", is_flag=True, help="Replace a blob that is not a certificate.")
def store(settings: Settings, *, files: tuple[Path, ...], force: bool) -> None:
    """Store certificates on the token, beside their keys.

    `fidokit agent serve --resident` serves these certificates without files, even on a new machine,
    and `key download` writes them to files. Each key has room for one; a new certificate replaces
    the previous one. The key must be resident and made with --large-blob.
    """
    stored = _store(settings, files, force=force)
    show(settings, _stored_on(stored), Lines([*map(_kept, stored)]))


def _store(settings: Settings, files: Sequence[Path], *, force: bool) -> list[KeptCertificate]:
    from fidokit.signing.certificates import store_certificates

    with open_token(settings) as session:
        return store_certificates(session, files, force=force)


def _stored_on(stored: Sequence[KeptCertificate]) -> dict[str, object]:
    return {"stored": [schema.kept_certificate(one) for one in stored]}


def _kept(one: KeptCertificate) -> str:
    return f"Stored {home_path(one.path)} on {one.token}, beside the key for {one.application}."


@verb()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.pass_context
def show_all(ctx: click.Context, /, settings: Settings, *, files: tuple[Path, ...]) -> None:
    """Show what certificates say, as `ssh-keygen -L`.

    Refuses a certificate whose signature is not valid. You decide whether to trust the authority.
    """
    from fidokit.signing.certificates import show_certificate

    shown, failed = [], None
    for path in files:
        try:
            shown.append(show_certificate(path))
        except FidokitError as error:
            if len(files) == 1:
                raise
            note(f"{path}: {error.message}")
            failed = failed or error
    data = {"certificates": [schema.certificate(one) for one in shown]}
    show(settings, data, Lines([line for one in shown for line in (f"{one.path}:", *one.lines)]))
    if failed:
        ctx.exit(failed.exit_code)
