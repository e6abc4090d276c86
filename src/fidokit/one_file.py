"""The one-file program, fidokit.pyz: what needs neither a token nor a compiled package.

It runs on hosts where nothing is installed, on Python 3.9 and later: `server`, `otp`, and `key
show` for files of public keys. `.ci/pyz.py` packs it; this module says what goes in and is where it
starts. What it imports keeps to Python 3.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from fidokit import __version__

if TYPE_CHECKING:
    from fidokit.cli.app import Section

VERBS: Final[Mapping[str, Sequence[str]]] = {"server": (), "otp": (), "key": ("show",)}
"""Groups, and verbs of each; all of a group's if none is named."""

LEFT_OUT: Final = (
    *("agent", "agent_client", "client", "fleet", "guide", "inventory", "lab", "metadata"),
    *("provider", "pytest_plugin", "signing", "testing", "tokens", "virtual"),
    *(
        "cli.completion",
        "keys.attestation",
        "keys.bookkeeping",
        "keys.holder",
        "keys.key_files",
        "keys.resident_keys",
    ),
    *("keys.token_keys", "openssh.keys.plain_private", "openssh.signatures.attestation"),
)
"""Modules of fidokit, with all below them, that need tokens, compiled packages or a newer Python.

What goes in may import them when it is called; the user hears that they are not here."""

WHEEL: Final = f"fidokit-{__version__}-py3-none-any.whl"
"""All of fidokit; it is beside the one-file program in a release."""

HELP: Final = f"""Who gets into this server by which key, and one-time codes.

\b
  fidokit.pyz server check          who gets in, and by what?
  fidokit.pyz server authorize ...  let a key in
  fidokit.pyz server harden ...     demand security keys

This is the part of fidokit that needs no installation. Keys on tokens, signatures and the SSH agent
need the whole: `pipx install ./{WHEEL}`."""


def main() -> NoReturn:
    """Be the process of fidokit.pyz."""
    from fidokit.cli import app
    from fidokit.cli.main import main as whole

    app.root.help, app.root.entries = HELP, {}
    app.root.sections = {name: cut(name) for name in VERBS}
    whole()


def cut(group: str) -> Section:
    """The part of a group of commands that goes in."""
    from fidokit.cli.app import GROUPS

    section = GROUPS[group]
    kept = {name: section.verbs[name] for name in VERBS[group] or section.verbs}
    return section._replace(verbs=kept)
