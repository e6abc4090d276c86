"""Waiting for a token that another program uses, as long as there is a user who waits along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeVar, runtime_checkable

from fidokit.client.links.watchdog import Patience
from fidokit.client.ports import Interaction
from fidokit.errors import Interrupted, TokenBusy

_T = TypeVar("_T")

POLL: Final = 0.5
"""Seconds between two tries; each try itself waits for short contention."""


@runtime_checkable
class Waiter(Protocol):
    """An `Interaction` whose user can be told that a token is busy, and waits for it."""

    def busy(self, token: str, why: str) -> bool:
        """Say once that `token` is busy, and why; false where nobody waits."""

    def busy_over(self) -> None:
        """The token is free, or was given up."""


def until_free(
    attempt: Callable[[], _T], token: str, interaction: Interaction, patience: Patience
) -> _T:
    """What `attempt` returns, tried again while another program uses the token.

    Args:
        attempt: raises TokenBusy after it has waited for short contention.
        token: the token's name.
        interaction: waits for longer where it is a `Waiter` and agrees.
        patience: `total` ends the waiting.

    Raises:
        TokenBusy: nobody waits, or the token did not become free in time.
        Interrupted: Ctrl-C.
    """
    try:
        return attempt()
    except TokenBusy as error:
        if not isinstance(interaction, Waiter) or not interaction.busy(token, error.message):
            raise
    try:
        return _retried(attempt, patience)
    except KeyboardInterrupt:
        raise Interrupted("interrupted while waiting for the token") from None
    finally:
        interaction.busy_over()


def _retried(attempt: Callable[[], _T], patience: Patience) -> _T:
    deadline = patience.clock() + patience.total
    while True:
        patience.sleep(POLL)
        try:
            return attempt()
        except TokenBusy:
            if patience.clock() >= deadline:
                raise
