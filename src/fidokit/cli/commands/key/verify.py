"""`fidokit key verify`: verify a signature, as `ssh-keygen -Y verify`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.render import Lines, show
from fidokit.cli.settings import Settings

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
    help="Keys that must not have signed: a KRL, or public keys, one a line.",
)
@click.option(
    "-O",
    "options",
    metavar="verify-time=TIME",
    multiple=True,
    help="Judge validity at YYYYMMDD[HHMM[SS]][Z] instead of now.",
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
    """Verify the signature of FILE, or of standard input (also `-`), against -k or -f.

    Needs no token. Exit status 1 where the signature is not good.
    """
    from fidokit.signing import signatures

    if (public_key is None) == (allowed_signers is None):
        raise click.UsageError("say who must have signed: either -k PUB or -f ALLOWED_SIGNERS")
    file = None if file == STDIN else file
    if signature is None and file is None:
        raise click.UsageError("say where the signature is: -s SIG")
    good = signatures.verify(
        file or sys.stdin.buffer,
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
