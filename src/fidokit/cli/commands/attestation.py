"""`fidokit attestation`: what a token certified when it made a key, shown and verified."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli import schema
from fidokit.cli.options import verb
from fidokit.cli.passphrase import old_passphrase, old_passphrase_option
from fidokit.cli.render import Facts, Lines, show
from fidokit.cli.settings import Settings
from fidokit.errors import ExitCode

if TYPE_CHECKING:
    from fidokit.keys.attestation import Leaf, ShownAttestation, VerifiedAttestation

_FILE = click.Path(dir_okay=False, path_type=Path)


@verb()
@click.argument("file", type=_FILE)
def show_one(settings: Settings, *, file: Path) -> None:
    """Show what an attestation file claims, without verifying it.

    FILE is what `ssh-keygen -O write-attestation=FILE` or `key generate` wrote.
    """
    from fidokit.keys.attestation import show_attestation

    shown = show_attestation(file)
    show(settings, {"attestation": schema.attestation(shown)}, Facts(file.name, _facts(shown)))


def _facts(shown: ShownAttestation) -> list[tuple[str, str]]:
    pairs = [("Version", f"{shown.version:02}")]
    if shown.version:
        handle = shown.key_handle or b""
        pairs += [
            ("Model", shown.model or "not in the FIDO metadata"),
            ("AAGUID", shown.aaguid or "none (U2F)"),
            ("Application", shown.application or "another than ssh: (only its hash is stored)"),
            ("Key handle", f"{handle.hex()[:32]}... ({len(handle)} bytes)"),
            ("Touched", "yes" if shown.user_present else "no"),
            ("PIN or finger", "yes" if shown.user_verified else "no"),
        ]
    return pairs + _leaf_facts(shown.leaf)


def _leaf_facts(leaf: Leaf | None) -> list[tuple[str, str]]:
    if leaf is None:
        return [("Certificate", "none: the key attests itself")]
    return [
        ("Certificate", leaf.subject),
        ("Issued by", leaf.issuer),
        ("Serial number", str(leaf.serial)),
        ("Valid", f"{leaf.not_before} to {leaf.not_after}"),
    ]


@verb()
@click.argument("file", type=_FILE)
@click.option(
    "--key",
    required=True,
    type=_FILE,
    help="The key that FILE is about: its public or private file.",
)
@click.option(
    "--challenge",
    required=True,
    type=_FILE,
    help="The challenge given by `-O challenge=` when the key was made.",
)
@old_passphrase_option
@click.option(
    "--require-certified",
    is_flag=True,
    help="Fail unless the roots of a certified model vouch for the token.",
)
def verify(
    settings: Settings,
    *,
    file: Path,
    key: Path,
    challenge: Path,
    passphrase_file: str | None,
    require_certified: bool,
) -> None:
    """Verify that a token made a key, and which model.

    If you want such a proof from someone, send a challenge (random bytes) and get back FILE and the
    public key. Models and their roots come from the FIDO metadata (extra `mds`). The exit status is
    1 if the attestation does not verify.
    """
    from fidokit.keys.attestation import Origin, verify_attestation

    found = verify_attestation(file, key, challenge, passphrase=old_passphrase(passphrase_file))
    data = {
        **schema.attestation(found.shown),
        "format": found.format,
        "origin": str(found.origin),
        "certification": found.certification,
        "untrusted": found.untrusted,
    }
    show(settings, {"attestation": data}, Lines(_verdict(found)))
    if require_certified and (found.origin is not Origin.MODEL or found.untrusted):
        sys.exit(ExitCode.OTHER)


def _verdict(found: VerifiedAttestation) -> list[str]:
    verified = ", with PIN or finger" if found.user_verified else ""
    lines = [f"Good {found.format} attestation: a token made this key{verified}."]
    if found.user_verified is None:
        lines.append("This format does not show whether the PIN or a finger was used.")
    lines.append(_ORIGIN[found.origin].format(**_names(found)))
    if found.untrusted:
        reported = found.certification or "broken or revoked"
        lines.append(f"Warning: this model is reported as {reported}.")
    return lines


def _names(found: VerifiedAttestation) -> dict[str, str]:
    leaf = found.shown.leaf
    return {
        "model": found.shown.model or "-",
        "certification": found.certification or "no certification",
        "subject": leaf.subject if leaf else "-",
        "issuer": leaf.issuer if leaf else "-",
    }


_ORIGIN = {
    "model": "Its maker's roots vouch for the model: {model} ({certification}).",
    "claimed": "It claims to be a {model}, but its certificate, issued by {issuer}, was not "
    "issued by a root of that model. The model is not proved.",
    "unknown": "Its certificate is of {subject}, which no known certified model vouches for. "
    "The model of the token is not proved.",
    "self": "The key itself signed: which token holds it is not proved.",
}
