"""Logging in by a key: what ssh has to know for a host, and whether a login works."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from fidokit.agent.desktop_agent import is_listening
from fidokit.keys.ssh_config import HostBlock, parse_destination
from fidokit.provider.need import provider_for_key
from fidokit.server.authorize.over_ssh import login
from fidokit.signing.signers import private_path

LOGIN_S: Final = 180.0
"""Seconds for a login, which may wait for PIN and touch."""

_NONE: Final = "none"


def host_block(
    destination: str,
    key: Path,
    *,
    port: int | None = None,
    provider: str | None = None,
    agent: str | None = None,
    environ: Mapping[str, str] = os.environ,
) -> HostBlock:
    """The block of ssh_config for a host.

    Args:
        destination: `[user@]host`; a pattern may stand for the host.
        key: the key's file.
        port: None for ssh's own choice.
        provider: the SecurityKeyProvider; None for ours where the token needs it, "none" for none.
        agent: the IdentityAgent; None for our agent's socket where it is open, "none" for none.
        environ: tells where our agent's socket would be.

    Raises:
        UsageError: the host or a path cannot be written.
        Unsupported, NoPermission: the provider is needed and cannot be had.
    """
    user, host = parse_destination(destination)
    private = private_path(key)
    identity = private if private.exists() else key
    if provider is None:
        provider = provider_for_key(identity)
    return HostBlock(
        host=host,
        identity=identity,
        user=user,
        port=port,
        provider="" if provider == _NONE else provider,
        agent=our_agent(environ) if agent is None else agent,
    )


def our_agent(environ: Mapping[str, str]) -> str:
    """The socket of fidokit's agent that systemd opens for the user; empty if it is not open."""
    folder = environ.get("XDG_RUNTIME_DIR", "")
    path = f"{folder}/fidokit/agent.sock"
    return path if folder and is_listening(path) else ""


def login_problem(ssh: Sequence[str], destination: str, fingerprint: str) -> str:
    """Log in once as the user's own ssh does it; why that did not work by the key, else empty.

    Args:
        ssh: the program and its options.
        destination: `[user@]host`.
        fingerprint: of the key that has to be the one that lets in.
    """
    with TemporaryDirectory(prefix="fidokit-") as folder:
        command = [*ssh, "-oControlPath=none"]
        said = login.verbose_login(command, destination, Path(folder) / "log", LOGIN_S)
    if login.is_let_in(said):
        right = login.accepted_keys(said)[-1:] == [fingerprint]
        return "" if right else "another key than this one lets in"
    return login.last_words(said) or f"{ssh[0]} says nothing"
