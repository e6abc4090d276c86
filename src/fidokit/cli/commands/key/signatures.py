"""`fidokit key sign` and `verify`, as `ssh-keygen -Y` does."""

from __future__ import annotations

from pathlib import Path

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.passphrase import agent_option, old_passphrase_option, open_signer
from fidokit.cli.render import Lines, home_path, show
from fidokit.cli.settings import Settings
from fidokit.prompt.standard_input import standard_input

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
    help="Private key file; or a .pub or -cert.pub file of a key that is in the agent or beside "
    "the file.",
)
@click.option(
    "-n", "namespace", default="file", show_default=True, help="What the signature is for."
)
@agent_option
@click.option("--hash", "hash_name", type=click.Choice(HASHES), default="sha512", show_default=True)
@click.option("-O", "options", metavar="hashalg=HASH", multiple=True, help="The same as --hash.")
@click.option("--force", is_flag=True, help="Replace existing signatures.")
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
    """Sign files.

    Writes the signature of each FILE to FILE.sig. Without FILES, or for `-`, signs standard input
    to standard output. fidokit finds the token that holds the key. Ordinary keys work, too.
    """
    from fidokit.signing.signatures import sign_file, sign_message

    if STDIN in files and len(files) > 1:
        raise click.UsageError("sign either files or standard input")
    hash_name = _hash_of(options, hash_name)
    with open_signer(settings, key, agent=agent, passphrase_file=passphrase_file) as signer:
        if files in ((), (STDIN,)):
            message = standard_input()
            text = sign_message(signer, message, namespace=namespace, hash_name=hash_name)
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


PATH = click.Path(path_type=Path)
STDIN = Path("-")


@verb()
@click.argument("file", required=False, type=PATH)
@click.option(
    "-s", "signature", type=PATH, metavar="SIG", help="The signature.  [default: FILE.sig]"
)
@click.option(
    "-k", "public_key", type=PATH, metavar="PUB", help="The public key that must have signed."
)
@click.option("-f", "allowed_signers", type=PATH, metavar="FILE", help="An allowed_signers file.")
@click.option("-I", "principal", metavar="WHO", help="Who must have signed, with -f.")
@click.option(
    "-n", "namespace", default="file", show_default=True, help="What the signature is for."
)
@click.option(
    "-r",
    "revoked_keys",
    type=PATH,
    metavar="FILE",
    help="Revoked keys: a KRL, or public keys, one per line.",
)
@click.option(
    "-O",
    "options",
    metavar="verify-time=TIME",
    multiple=True,
    help="Check validity at YYYYMMDD[HHMM[SS]][Z] instead of now.",
)
def verify(
    settings: Settings,
    *,
    file: Path | None,
    signature: Path | None,
    public_key: Path | None,
    allowed_signers: Path | None,
    principal: str | None,
    namespace: str,
    revoked_keys: Path | None,
    options: tuple[str, ...],
) -> None:
    """Verify a signature.

    Verifies the signature of FILE, or of standard input (also `-`), against -k or -f. Needs no
    token. The exit status is 1 if the signature is not valid.
    """
    from fidokit.signing import signatures

    if (public_key is None) == (allowed_signers is None):
        raise click.UsageError("name who must have signed: either -k PUB or -f ALLOWED_SIGNERS")
    file = None if file == STDIN else file
    if signature is None and file is None:
        raise click.UsageError("name the signature: -s SIG")
    good = signatures.verify_signature(
        file or standard_input(),
        signature or Path(f"{file}.sig"),
        public_key=public_key,
        allowed_signers=allowed_signers,
        principal=principal,
        namespace=namespace,
        revoked_keys=revoked_keys,
        at=_time_of(options),
    )
    by = f" by {good.principal}" if good.principal else ""
    said = f"Good {good.namespace!r} signature{by} with {good.type_label} key {good.fingerprint}"
    show(settings, {"verified": schema.verified(good)}, Lines([said]))


def _time_of(options: tuple[str, ...]) -> int | None:
    from fidokit.signing.signatures import verify_time

    moment = None
    for option in options:
        name, _, value = option.partition("=")
        if name.lower() != "verify-time":
            raise click.UsageError(f"-O {option} is not verify-time=TIME")
        moment = verify_time(value)
    return moment
