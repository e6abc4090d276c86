"""Waiting for a token that another program uses, as long as there is a user who waits along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar, runtime_checkable

from fidokit.client.links.watchdog import Patience
from fidokit.client.ports import Interaction
from fidokit.errors import Interrupted, TokenBusy

_T = TypeVar("_T")

POLL: Final = 0.5
"""Seconds between two tries; each try itself waits for short contention."""


@runtime_checkable
class Waiter(Protocol):
    """An `Interaction` whose user can be told that a token is busy or absent, and waits for it."""

    def busy(self, token: str, why: str) -> bool:
        """Say once that `token` is busy, and why; false if nobody waits."""

    def absent(self, what: str) -> bool:
        """Say once what is not there, and how to bring it; false if nobody waits."""

    def waiting_over(self) -> None:
        """The token is free or there, or was given up."""


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
        if not isinstance(interaction, Waiter):
            raise
        with _waiting(interaction):
            if not interaction.busy(token, error.message):
                raise
            return _retried(attempt, patience)


@contextmanager
def _waiting(interaction: Waiter) -> Iterator[None]:
    """Ctrl-C ends the block from the moment on at which a user is told that something lasts."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted("interrupted while waiting for the token") from None
    finally:
        interaction.waiting_over()


def _retried(attempt: Callable[[], _T], patience: Patience) -> _T:
    deadline = patience.clock() + patience.total
    while True:
        patience.sleep(POLL)
        try:
            return attempt()
        except TokenBusy:
            if patience.clock() >= deadline:
                raise


def until_there(
    look: Callable[[], _T | None], what: str, interaction: Interaction, patience: Patience
) -> _T | None:
    """What `look` finds, looked for again while a user waits for a token to be plugged in.

    Args:
        look: None if the token is not there.
        what: what is missing, and how to bring it; a sentence without its full stop.
        interaction: waits where it is a `Waiter` and agrees.
        patience: `total` ends the waiting.

    Returns None if nobody waits, or where it did not come in time.

    Raises:
        Interrupted: Ctrl-C.
    """
    found = look()
    if found is not None or not isinstance(interaction, Waiter):
        return found
    with _waiting(interaction):
        deadline = patience.clock() + patience.total
        waits = interaction.absent(what)
        while waits and found is None and patience.clock() < deadline:
            patience.sleep(POLL)
            found = look()
    return found
