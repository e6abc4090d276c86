"""The agent that the desktop brings, for one of ours to go in front of.

Sources: the user units of Debian 13's openssh-client (ssh-agent.socket), of gcr and gnome-keyring.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

AUTO: Final = "auto"
"""The word for it where an upstream agent is named."""
PLACES: Final = ("gcr/ssh", "keyring/ssh", "openssh_agent")
"""Under XDG_RUNTIME_DIR. gpg-agent's is not among them, since it keeps on disk what it is given:
it is an upstream agent only where SSH_AUTH_SOCK names it."""


def desktop_agent(environ: Mapping[str, str], own: Path) -> str | None:
    """The socket of another agent that listens now; None if there is none.

    Args:
        environ: for SSH_AUTH_SOCK, which goes first, and XDG_RUNTIME_DIR.
        own: the socket that is ours, under any name.
    """
    ours = os.path.realpath(own)
    for path in _candidates(environ):
        if os.path.realpath(path) != ours and is_listening(path):
            return path
    return None


def _candidates(environ: Mapping[str, str]) -> Iterator[str]:
    if named := environ.get("SSH_AUTH_SOCK"):
        yield named
    if folder := environ.get("XDG_RUNTIME_DIR"):
        yield from (f"{folder}/{place}" for place in PLACES)


def is_listening(path: str) -> bool:
    """Whether somebody does; without waiting, since the loop of all clients asks."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:  # it has no room for one more now
            return True
        except (OSError, ValueError):
            return False
    return True
