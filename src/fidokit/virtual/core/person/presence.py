"""Asking the person for a touch."""

from __future__ import annotations

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.ports import CtapRejection, NeedsPresence, Outcome, PresenceKind, Steps

WAIT_MS = 30_000


def ask(
    token: TokenContext, kind: PresenceKind = PresenceKind.TOUCH, wait_ms: int = WAIT_MS
) -> Steps[Outcome]:
    """Wait for the person and return how it ended, unless the platform cancels.

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
