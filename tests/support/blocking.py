"""An authenticator whose commands block until their person has acted."""

from __future__ import annotations

from typing import Protocol

from fidokit.virtual.core.engine import Authenticator
from fidokit.virtual.core.ports import Clock, NeedsPresence, Outcome, Rng, Store
from fidokit.virtual.core.profile import Profile


class BlockingPerson(Protocol):
    """Acts, and says how it ended."""

    def wait(self, need: NeedsPresence) -> Outcome: ...


class BlockingAuthenticator(Authenticator):
    """`begin` and `resume` in one call."""

    def __init__(
        self, profile: Profile, store: Store, clock: Clock, rng: Rng, person: BlockingPerson
    ) -> None:
        super().__init__(profile, store, clock, rng)
        self._person = person

    def handle(self, request: bytes, channel: int = 0) -> bytes:
        """A whole CTAP2 command."""
        return self._finish(self.begin(request, channel))

    def handle_msg(self, apdu: bytes, channel: int = 0) -> bytes:
        """A whole U2F raw message."""
        return self._finish(self.begin_msg(apdu, channel))

    def _finish(self, answer: bytes | NeedsPresence) -> bytes:
        while isinstance(answer, NeedsPresence):
            answer = self.resume(self._person.wait(answer))
        return answer
