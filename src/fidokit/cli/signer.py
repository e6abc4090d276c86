"""Whoever signs for the key file that a command names: options, and opening it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fidokit.cli.interaction import TerminalInteraction
from fidokit.cli.passphrase import old_passphrase
from fidokit.cli.settings import Settings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fidokit.signing.signers import Signer

agent_option = click.option(
    "-U", "--agent", is_flag=True, help="Sign by the agent, and by nothing else."
)


def open_signer(
    settings: Settings, key: Path, *, agent: bool, passphrase_file: str | None
) -> AbstractContextManager[Signer]:
    """Whoever signs for a key file; a private one is never looked for in the agent.

    Args:
        key: -f or -s.
        agent: --agent.
        passphrase_file: --passphrase-file.
    """
    from fidokit.signing import signers

    public = key.name.endswith(".pub")
    return signers.open_signer(
        key,
        TerminalInteraction(settings),
        agent=True if agent else (None if public else False),
        passphrase=lambda path: old_passphrase(path, passphrase_file)(),
        selector=settings.token,
        spend_last_try=settings.spend_last_try,
    )
