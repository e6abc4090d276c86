"""The two commands that a touch alone authorizes: authenticatorSelection (0B), for which of several
tokens the user means, and authenticatorReset (07), back to the state of a token as made."""

from __future__ import annotations

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import Command, Reply, TokenContext
from fidokit.virtual.core.factory import reset_state
from fidokit.virtual.core.person import presence
from fidokit.virtual.core.ports import CtapRejection, PresenceKind, Steps
from fidokit.virtual.core.schema import Params


def select(token: TokenContext, _params: Params) -> Steps[Reply]:
    """Wait for a touch and say nothing else (CTAP 2.3 section 6.9)."""
    yield from presence.touch(token)
    return None


SELECTION = Command(select, offered=lambda profile: profile.has_selection)


def reset(token: TokenContext, _params: Params) -> Steps[Reply]:
    """Soon after power-up and with a touch, forget everything (CTAP 2.3 section 6.6).

    Raises:
        CtapRejection: see RST-01, RST-03, RST-06.
    """
    served = token.profile.transports_for_reset
    if served and token.transport not in served:
        raise CtapRejection(token.profile.behavior.wrong_reset_transport)
    age = token.clock.now_ms() - token.powered_up_ms
    if age > token.profile.behavior.reset_window_ms:
        raise CtapRejection(CtapStatus.NOT_ALLOWED)
    long = token.state.long_touch_for_reset
    kind = PresenceKind.LONG_TOUCH if long else PresenceKind.TOUCH
    yield from presence.touch(token, kind=kind)
    token.wipe(reset_state(token.profile, token.state, token.rng))
    return None


COMMAND = Command(reset)
