"""A token with quirks on the bench of the core's tests."""

from __future__ import annotations

from collections.abc import Iterable

from tests.virtual.core.client import Bench, FakeClock, Person, SeededRng

from fidokit.virtual import VirtualToken
from fidokit.virtual.core.profile import Profile


class QuirkyBench(Bench):
    """A `VirtualToken` behind the platform's half; `keepalives` are those of the last command."""

    def __init__(
        self, *quirks: str, model: Profile | str = "ctap2.3", presence: str = "auto"
    ) -> None:
        self.clock, self.rng, self.person = FakeClock(), SeededRng(), Person()
        self.token = VirtualToken(
            profile=model, quirks=quirks, presence=presence, clock=self.clock, rng=self.rng
        )
        self.profile = self.token.profile
        self.link = self.token.link()
        self.keepalives: list[int] = []
        self.authenticator = self  # type: ignore[assignment]  # it handles requests itself

    def handle(self, request: bytes, _channel: int = 0) -> bytes:
        """The reply to a CTAP2 command."""
        self.keepalives.clear()
        return self.link.cbor(request, self.keepalives.append)

    def msg(self, apdu: bytes) -> bytes:
        """The reply to a U2F message."""
        return self.link.msg(apdu)

    def replug(self) -> None:
        """Take the power away for a moment."""
        self.token.power_cycle()


def quirky(quirks: Iterable[str]) -> QuirkyBench:
    return QuirkyBench(*quirks)
