"""A virtual token that a test cannot hang on: whoever waits too long gets an error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.errors import FidokitError
from fidokit.virtual.presence import Canceled
from fidokit.virtual.token import VirtualToken

if TYPE_CHECKING:
    from fido2.webauthn import AttestedCredentialData

    from fidokit.virtual.core.ports import Clock, Rng
    from fidokit.virtual.core.profile import Profile
    from fidokit.virtual.faults import Faults
    from fidokit.virtual.presence import Person

PATIENCE_S: Final = 10.0
"""Seconds that a token waits for its user before the test fails."""

_NOT_YET: Final = b"\x69\x85"


class Stalled(FidokitError):
    """A test let a token wait for somebody who never came."""

    def __str__(self) -> str:
        """The sentence and the hint: pytest shows nothing else of an exception."""
        return f"{self.message}: {self.hint}"


class _Watch:
    """Whether one command has lasted too long, in real time.

    Args:
        patience_s: seconds.
        canceled: whether the platform gave up.
    """

    def __init__(self, patience_s: float, canceled: Canceled = lambda: False) -> None:
        self._deadline = time.monotonic() + patience_s
        self._canceled = canceled
        self.expired = False

    def over(self) -> bool:
        """Whether to end it, asked several times a second."""
        self.expired = self.expired or time.monotonic() > self._deadline
        return self.expired or self._canceled()

    def expire(self, faults: Faults) -> None:
        """Let go of a command that asks nobody."""
        self.expired = True
        faults.clear()


class WatchedToken(VirtualToken):
    """A `VirtualToken` for tests.

    A command that waits longer than `patience_s` of real time, whatever the token's own clock
    says, is canceled and raises `Stalled` in the thread that waits; so does a U2F client that
    asks for a touch again and again. Each is also noted in `stalls`, because the program under
    test may swallow the error; the fixtures fail a test that leaves one there.

    Args:
        source, profile, model, presence, clock, rng, uv_enrolled, quirks: as `VirtualToken`.
        patience_s: seconds.
    """

    def __init__(
        self,
        source: str | Path | None = None,
        *,
        profile: str | Profile | None = None,
        model: str | Mapping[str, object] | None = None,
        presence: str | Person | None = None,
        clock: Clock | None = None,
        rng: Rng | None = None,
        uv_enrolled: bool = False,
        patience_s: float = PATIENCE_S,
        quirks: Iterable[str] = (),
    ) -> None:
        super().__init__(
            source,
            profile=profile,
            model=model,
            presence=presence,
            clock=clock,
            rng=rng,
            uv_enrolled=uv_enrolled,
            quirks=quirks,
        )
        self.patience_s = patience_s
        self.stalls: list[Stalled] = []
        self.on_stall: Callable[[WatchedToken], None] = lambda _: None
        self.credentials: Sequence[AttestedCredentialData] = ()
        self.takes_gestures = presence is None or isinstance(presence, str)
        self._asked_for_touch: float | None = None

    def exchange_cbor(
        self,
        request: bytes,
        channel: int,
        on_keepalive: Callable[[int], None],
        canceled: Callable[[], bool],
    ) -> bytes:
        """See `VirtualToken.exchange_cbor`.

        Raises:
            Stalled: it waited too long.
        """
        watch = _Watch(self.patience_s, canceled)
        with self._breaking(watch):
            reply = super().exchange_cbor(request, channel, on_keepalive, watch.over)
        if watch.expired:
            raise self._stalled(f"CTAP command 0x{request[0]:02x}")
        return reply

    def exchange_msg(self, apdu: bytes, channel: int) -> bytes:
        """See `VirtualToken.exchange_msg`.

        Raises:
            Stalled: it waited too long, or a client has asked for a touch for too long.
        """
        watch = _Watch(self.patience_s)
        with self._breaking(watch):
            reply = super().exchange_msg(apdu, channel)
        if watch.expired or self._asked_too_long(reply):
            raise self._stalled(f"U2F command 0x{apdu[1]:02x}")
        return reply

    def _asked_too_long(self, reply: bytes) -> bool:
        now = time.monotonic()
        if reply != _NOT_YET:
            self._asked_for_touch = None
        elif self._asked_for_touch is None:
            self._asked_for_touch = now
        elif now - self._asked_for_touch > self.patience_s:
            self._asked_for_touch = None
            return True
        return False

    @contextmanager
    def _breaking(self, watch: _Watch) -> Iterator[None]:
        """End a fault that no cancel ends, once the patience is; without faults, do nothing."""
        if not self.faults.pending:
            yield
            return
        timer = threading.Timer(self.patience_s, lambda: watch.expire(self.faults))
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _stalled(self, what: str) -> Stalled:
        stalled = Stalled(
            f"{what} waited {self.patience_s:g} s for the token's answer",
            hint="queue touch(), refuse(), uv_match() or uv_mismatch() before it or from another "
            "thread, or make the token with presence='auto'; a fault that stalls ends by "
            "faults.clear()",
        )
        self.stalls.append(stalled)
        self.on_stall(self)
        return stalled

    def __repr__(self) -> str:
        """What a failing test shows of it."""
        words = [self.name, self.profile.name, *self.quirks, self.identity.serial]
        return f"<virtual token {' '.join(words)}>"
