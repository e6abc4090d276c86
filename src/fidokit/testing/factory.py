"""Makes tokens for one test, and looks after them when it is over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fidokit.testing.credentials import Credential, provision
from fidokit.testing.token import PATIENCE_S, WatchedToken

if TYPE_CHECKING:
    from fidokit.testing.token import Stalled
    from fidokit.virtual.core.ports import Clock, Rng
    from fidokit.virtual.core.profile import Profile
    from fidokit.virtual.presence import Person


class TokenFactory:
    """Call it for a fresh token in memory.

    Args:
        patience_s: how many seconds its tokens wait for somebody before the test fails.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self.made: list[WatchedToken] = []

    def __call__(
        self,
        *,
        profile: str | Profile | None = None,
        model: str | None = None,
        pin: str | None = None,
        credentials: Iterable[Credential] = (),
        presence: str | Person = "auto",
        uv: bool = False,
        clock: Clock | None = None,
        rng: Rng | None = None,
        patience_s: float | None = None,
    ) -> WatchedToken:
        """Make a token and plug it in.

        Args:
            profile: the name of one of ours, "ctap2.3" by default, or a `Profile`.
            model: in its place, a certified model to stand in for, by AAGUID or description
                (`fidokit virtual models` lists them); needs the extra `mds`.
            pin: set before the test begins; None for none.
            credentials: on it before the test begins; `token.credentials` has their ids and
                public keys, in order.
            presence: "auto", "deny", "delay MS", "script" or a `Person`; gestures that the test
                queues (`token.touch()`, `token.refuse()`) come first.
            uv: whether built-in verification is there and configured; the policy, or
                `token.uv_match()` and `token.uv_mismatch()`, say how it ends.
            clock: monotonic milliseconds, such as `fidokit.virtual.world.ManualClock`.
            rng: such as `fidokit.virtual.world.SeededRng`, for tokens that repeat themselves.
            patience_s: for this token alone.

        Raises:
            UsageError: values that make no sense together, or a model that is not known or not
                the only one of its name.
            Unsupported: the metadata is not installed.
            fido2.ctap.CtapError: the model refuses the PIN or a credential.
        """
        token = WatchedToken(
            profile=profile,
            model=model,
            presence=presence,
            clock=clock,
            rng=rng,
            uv_enrolled=uv,
            patience_s=self._patience_s if patience_s is None else patience_s,
        )
        self.made.append(token)
        wanted = list(credentials)
        if pin is not None or wanted:
            provision(token, pin, wanted)
        return token

    def close(self) -> list[Stalled]:
        """Unplug every token; returns the stalls that the test left unmentioned."""
        for token in self.made:
            token.unplug()
        return [stalled for token in self.made for stalled in token.stalls]
