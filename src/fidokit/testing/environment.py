"""Virtual tokens for the programs that a test starts: as USB keys, and by OpenSSH's provider."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from fidokit.lab.program import plugged_in
from fidokit.provider.library import provider_path
from fidokit.tokens.configuration import VARIABLE
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.socket_owner import Listener

PROVIDER: Final = "SSH_SK_PROVIDER"


@contextmanager
def token_environment(
    tokens: Sequence[VirtualToken], environ: Mapping[str, str] = os.environ
) -> Iterator[dict[str, str]]:
    """The variables by which child processes find virtual tokens, until the block ends.

    Programs see all tokens as USB keys (LD_PRELOAD), /dev/hidraw90 and on. OpenSSH's programs and
    fidokit's reach the first one by other ways as well: SSH_SK_PROVIDER and FIDOKIT_TOKEN.

    Args:
        tokens: plugged in, at least one; with a `WatchedToken` nothing waits for ever.
        environ: the variables that the children have otherwise.

    Yields:
        The variables to set, and no others.

    Raises:
        Unsupported: no C compiler is here, or ssh is older than 8.9.
    """
    with (
        tempfile.TemporaryDirectory(prefix="fidokit-", ignore_cleanup_errors=True) as folder,
        plugged_in(tokens, environ) as nodes,
    ):
        path = Path(folder) / "token.sock"
        listener = Listener.at(tokens[0], path)
        ways = {VARIABLE: f"socket:{path}", PROVIDER: str(provider_path())}
        changed = {name: text for name, text in nodes.items() if environ.get(name) != text}
        try:
            yield changed | ways
        finally:
            listener.close()
