"""Built-in user verification: one attempt, its retries, and how callers name its end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.person import presence
from fidokit.virtual.core.ports import CtapRejection, NeedsPresence, Outcome, PresenceKind, Steps


class Verification(Enum):
    """How an attempt ended."""

    MATCHED = auto()
    MISMATCHED = auto()
    REFUSED = auto()
    TIMED_OUT = auto()
    BLOCKED = auto()


StatusTable = Mapping[Verification, CtapStatus]

IN_OPERATIONS: StatusTable = {
    Verification.MISMATCHED: CtapStatus.OPERATION_DENIED,
    Verification.REFUSED: CtapStatus.OPERATION_DENIED,
    Verification.TIMED_OUT: CtapStatus.USER_ACTION_TIMEOUT,
    Verification.BLOCKED: CtapStatus.PIN_BLOCKED,
}
"""For makeCredential and getAssertion (MC-27)."""

IN_CLIENT_PIN: StatusTable = {
    Verification.MISMATCHED: CtapStatus.UV_INVALID,
    Verification.REFUSED: CtapStatus.OPERATION_DENIED,
    Verification.TIMED_OUT: CtapStatus.USER_ACTION_TIMEOUT,
    Verification.BLOCKED: CtapStatus.UV_BLOCKED,
}
"""For getPinUvAuthTokenUsingUvWithPermissions (PIN-30)."""

_ENDED: Mapping[Outcome, Verification] = {
    Outcome.UV_MATCHED: Verification.MATCHED,
    Outcome.REFUSED: Verification.REFUSED,
    Outcome.TIMED_OUT: Verification.TIMED_OUT,
}
"""Anything else at the sensor, a plain touch included, matches no template."""


def require(token: TokenContext, statuses: StatusTable) -> Steps[None]:
    """Verify the person by one attempt.

    Args:
        token: a token on which verification is configured.
        statuses: how the calling command names each failure.

    Raises:
        CtapRejection: by the table, or KEEPALIVE_CANCEL.
    """
    ended = yield from _attempt(token)
    if ended is not Verification.MATCHED:
        raise CtapRejection(statuses[ended])


def _attempt(token: TokenContext) -> Steps[Verification]:
    if token.state.uv_retries == 0:
        return Verification.BLOCKED
    # durable before the sensor is asked: pulling the plug must cost an attempt
    token.save(uv_retries=token.state.uv_retries - 1, uv_count=token.state.uv_count + 1)
    outcome = yield from presence.ask(token, PresenceKind.VERIFY)
    ended = _ENDED.get(outcome, Verification.MISMATCHED)
    if ended is Verification.MATCHED:
        token.save(uv_retries=token.profile.uv_attempts)
    elif ended is Verification.MISMATCHED and token.state.uv_retries == 0:
        return Verification.BLOCKED
    return ended


def look(token: TokenContext) -> Steps[bool]:
    """Whether the person is at the sensor now and is verified, for U2F, which never waits.

    Only an attempt that is there counts; a miss is durable before anybody hears of it.

    Args:
        token: with verification configured and attempts left.
    """
    outcome = yield NeedsPresence(PresenceKind.VERIFY_NOW, token.clock.now_ms())
    ended = _ENDED.get(outcome, Verification.MISMATCHED)
    attempts = token.state.uv_count + 1
    if ended is Verification.MATCHED:
        token.save(uv_retries=token.profile.uv_attempts, uv_count=attempts)
    elif ended is Verification.MISMATCHED:
        token.save(uv_retries=token.state.uv_retries - 1, uv_count=attempts)
    return ended is Verification.MATCHED
