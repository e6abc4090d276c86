"""Where a user's keys are, as sshd_config's AuthorizedKeysFile says."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fidokit.server.accounts import Account

DEFAULT: Final = ".ssh/authorized_keys"
"""sshd's first AuthorizedKeysFile where its configuration names none."""


def path_of(user: Account, pattern: str = DEFAULT) -> Path:
    """Where a user's keys are, by sshd_config's AuthorizedKeysFile.

    Args:
        pattern: one of its names; `%h`, `%u`, `%U` and `%%` are replaced, and what is not absolute
            is below the home folder (sshd_config(5)).
    """
    tokens = {"%h": str(user.home), "%u": user.name, "%U": str(user.uid), "%%": "%"}
    text, at = "", 0
    while at < len(pattern):
        token = pattern[at : at + 2]
        text += tokens.get(token, pattern[at])
        at += 2 if token in tokens else 1
    return user.home / text
