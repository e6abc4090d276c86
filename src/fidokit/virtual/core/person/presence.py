"""Asking the user for a touch, or for one attempt at built-in verification."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.ports import CtapRejection, NeedsPresence, Outcome, PresenceKind, Steps

WAIT_MS = 30_000


def ask(
    token: TokenContext, kind: PresenceKind = PresenceKind.TOUCH, wait_ms: int = WAIT_MS
) -> Steps[Outcome]:
    """Wait for the user and return how it ended, unless the platform cancels.

    Args:
        token: whose person is asked.
        kind: what for.
        wait_ms: how long, in milliseconds.

    Raises:
        CtapRejection: KEEPALIVE_CANCEL.
    """
    outcome = yield NeedsPresence(kind, token.clock.now_ms() + wait_ms)
    if outcome is Outcome.CANCELED:
        raise CtapRejection(CtapStatus.KEEPALIVE_CANCEL)
    return outcome


def touch(
    token: TokenContext,
    timed_out: CtapStatus = CtapStatus.USER_ACTION_TIMEOUT,
    kind: PresenceKind = PresenceKind.TOUCH,
) -> Steps[None]:
    """Wait for a touch.

    Args:
        token: whose person is asked.
        timed_out: the status when nobody came; the commands differ in it.
        kind: TOUCH, or LONG_TOUCH.

    Raises:
        CtapRejection: OPERATION_DENIED, KEEPALIVE_CANCEL, or `timed_out`.
    """
    outcome = yield NeedsPresence(kind, token.clock.now_ms() + WAIT_MS)
    if outcome is not Outcome.TOUCHED:
        _judge(outcome, timed_out)


def _judge(outcome: Outcome, timed_out: CtapStatus) -> None:
    if outcome is Outcome.TIMED_OUT:
        raise CtapRejection(timed_out)
    if outcome is Outcome.REFUSED:
        raise CtapRejection(CtapStatus.OPERATION_DENIED)
    if outcome is Outcome.CANCELED:
        raise CtapRejection(CtapStatus.KEEPALIVE_CANCEL)


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
"""For makeCredential and getAssertion if no PIN is set, or none counts (MC-27)."""

WHERE_A_PIN_WOULD_DO: StatusTable = {
    **dict.fromkeys(Verification, CtapStatus.PUAT_REQUIRED),
    Verification.TIMED_OUT: CtapStatus.USER_ACTION_TIMEOUT,
}
"""For the same commands otherwise."""

IN_CLIENT_PIN: StatusTable = {
    Verification.MISMATCHED: CtapStatus.UV_INVALID,
    Verification.REFUSED: CtapStatus.UV_INVALID,
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


def verify(token: TokenContext, statuses: StatusTable) -> Steps[None]:
    """Verify the user by one attempt.

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
    """One attempt; a blocked PIN blocks the sensor, too (CTAP 2.3 section 6.5.3.1, step 3)."""
    if token.pin_set and token.state.pin_retries == 0 and token.state.uv_retries:
        token.save(uv_retries=0)
    if token.state.uv_retries == 0:
        return Verification.BLOCKED
    # durable before the sensor is asked: pulling the plug must cost an attempt
    token.save(uv_retries=token.state.uv_retries - 1, uv_count=token.state.uv_count + 1)
    outcome = yield from ask(token, PresenceKind.VERIFY)
    ended = _ENDED.get(outcome, Verification.MISMATCHED)
    if ended is Verification.MATCHED:
        token.save(uv_retries=token.profile.uv_attempts)
    elif ended is not Verification.TIMED_OUT and token.state.uv_retries == 0:
        return Verification.BLOCKED
    return ended


def verify_now(token: TokenContext) -> Steps[bool]:
    """Whether the user is at the sensor now and is verified, for U2F, which never waits.

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
