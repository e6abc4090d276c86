"""authenticatorSelection (0B): which of several tokens does the person mean?"""

from __future__ import annotations

from fidokit.virtual.core.context import Command, Reply, TokenContext
from fidokit.virtual.core.person import presence
from fidokit.virtual.core.ports import Steps
from fidokit.virtual.core.schema import Params


def run(token: TokenContext, _params: Params) -> Steps[Reply]:
    """Wait for a touch and say nothing else (CTAP 2.3 section 6.9)."""
    yield from presence.touch(token)
    return None


COMMAND = Command(run, offered=lambda profile: profile.has_selection)
