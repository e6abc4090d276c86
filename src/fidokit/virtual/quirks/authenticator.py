"""The authenticator of a token with quirks: hooks around the engine's commands."""

from __future__ import annotations

from collections.abc import Sequence

from fidokit.virtual.core.context import USB
from fidokit.virtual.core.engine import Authenticator
from fidokit.virtual.core.ports import Clock, NeedsPresence, Outcome, Rng, Store
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.quirks.quirk import Asked, Quirk

_U2F_REFUSED = b"\x69\x86"


class UntidyAuthenticator(Authenticator):
    """One powered token that departs from the text as its quirks say.

    Args:
        profile: what model it is, the quirks' changes included.
        store: its durable memory.
        clock: monotonic milliseconds.
        rng: randomness for keys, tokens and nonces.
        quirks: in the order in which they change answers.
    """

    def __init__(
        self, profile: Profile, store: Store, clock: Clock, rng: Rng, quirks: Sequence[Quirk]
    ) -> None:
        super().__init__(profile, store, clock, rng)
        self._before = [quirk.before for quirk in quirks if quirk.before]
        self._after = [quirk.after for quirk in quirks if quirk.after]
        self._u2f_refused = [quirk.u2f_refused for quirk in quirks if quirk.u2f_refused]
        self._memory: dict[str, int] = {}
        self._asked = Asked(self.token, b"", self._memory)

    def begin(
        self, request: bytes, channel: int = 0, transport: str = USB
    ) -> bytes | NeedsPresence:
        """Start a CTAP2 command, whose request and answer the quirks see."""
        if self.waiting:
            return super().begin(request, channel, transport)
        self._asked = asked = Asked(self.token, request, self._memory)
        for before in self._before:
            status = before(asked)
            if status is not None:
                return bytes([status])
        return self._changed(super().begin(request, channel, transport))

    def begin_msg(self, apdu: bytes, channel: int = 0) -> bytes | NeedsPresence:
        """Start a U2F raw message, unless a quirk refuses it."""
        if not self.waiting:
            self._asked = Asked(self.token, b"", self._memory)
            if any(refused(self.token) for refused in self._u2f_refused):
                return _U2F_REFUSED
        return super().begin_msg(apdu, channel)

    def resume(self, outcome: Outcome) -> bytes | NeedsPresence:
        """Go on with the command that waits; the quirks see its answer."""
        return self._changed(super().resume(outcome))

    def power_cycle(self) -> None:
        """Power goes and returns, and quirks forget what they kept until then."""
        self._memory.clear()
        super().power_cycle()

    def _changed(self, answer: bytes | NeedsPresence) -> bytes | NeedsPresence:
        if isinstance(answer, NeedsPresence):
            return answer
        for after in self._after:
            answer = after(self._asked, answer)
        return answer
