"""One token, opened for one command: its info fetched once, its owner proved once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from fidokit.client.connection import Connection
from fidokit.client.credentials import u2f
from fidokit.client.owner import proofs
from fidokit.client.owner.proofs import BuiltInUv, Permission, PinToken, Proof, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.errors import TokenRefused, Unsupported
from fidokit.types import CtapCommand, CtapStatus

if TYPE_CHECKING:
    from fidokit.client.owner.persistent import Reading


class Session(Connection):
    """An open token for one command: the connection to it, and what its owner proved.

    Args:
        link: the open link.
        label: how the token is called.
        interaction: how its owner is reached.
        spend_last_try: whether the last PIN try may be spent.
        patience: time limits.
    """

    _token: PinToken | None = None
    reading: Reading | None = None
    """How credentials are read without PIN; None: not at all."""

    def close(self) -> None:
        """Let go of the token; a second call does nothing."""
        self._token = None
        super().close()

    def forget_info(self) -> None:
        """Ask the token again at the next need: its PIN, policy or options just changed."""
        self.forget_options()
        self._token = None

    # --- the owner -----------------------------------------------------------------------------

    def authorize(self, permissions: Permission, rp_id: str | None, why: str) -> PinToken:
        """A pinUvAuthToken for this command; asked for once, used as long as it covers.

        Raises:
            PinError and others: see `proofs.obtain`.
        """
        if self._token is None or not self._token.covers(permissions, rp_id):
            self._token = proofs.obtain(self, Wish(permissions, rp_id, why))
        return self._token

    def authorize_reading(self, rp_id: str | None, why: str) -> PinToken:
        """A pinUvAuthToken for listing credentials: without PIN where a right that lasts was kept.

        Raises:
            PinError and others: see `proofs.obtain`.
        """
        there = self._token
        if there is not None and there.covers(Permission.CREDENTIAL_MANAGEMENT, rp_id):
            return there
        kept = self.reading.token(self, why) if self.reading else None
        return kept or self.authorize(Permission.CREDENTIAL_MANAGEMENT, rp_id, why)

    def reading_died(self, status: int, proof: PinToken) -> bool:
        """Whether a refusal means that the right that lasts is dead, and another try makes sense.

        Args:
            status: the CTAP status of the refusal.
            proof: what was shown.
        """
        refused = status == CtapStatus.PIN_AUTH_INVALID
        return refused and self.reading is not None and self.reading.died(proof)

    def authorize_use(self, permissions: Permission, rp_id: str, why: str) -> Proof:
        """The proof for makeCredential or getAssertion; on CTAP 2.0 a sensor gives it itself."""
        if self.info.uv_configured and not self.info.has_pin_token_permissions:
            return BuiltInUv()
        return self.authorize(permissions, rp_id, why)

    def spent(self) -> None:
        """Forget the pinUvAuthToken: a touch used up its permissions (CTAP 2.1 6.1.2 step 17)."""
        if self.info.has_pin_token_permissions:
            self._token = None

    # --- the token itself ----------------------------------------------------------------------

    def select(self, stop: threading.Event | None = None) -> None:
        """Return when the owner touched this token (authenticatorSelection, or what came before).

        Args:
            stop: set by somebody else to end the waiting.

        Raises:
            TouchRefused, TouchTimedOut: the owner did not.
            Interrupted: it was canceled.
        """
        why = "choosing the token"
        if self.info.is_u2f_only:
            u2f.wait_for_touch(self, why, stop)
            return
        try:
            if self.info.has_selection:
                self.attempt(CtapCommand.SELECTION, None, "selection answer", why=why, stop=stop)
            else:
                self.attempt(
                    CtapCommand.MAKE_CREDENTIAL, _DUMMY, "touch answer", why=why, stop=stop
                )
        except CtapRefusal as refusal:
            if refusal.status not in _TOUCHED:
                raise error_for(refusal.status, why) from None

    def reset(self) -> None:
        """Erase every key and the PIN, for good (CTAP 2.1 section 6.6).

        Raises:
            TokenRefused: too long after power-up; the hint says how to do it.
            TouchRefused, TouchTimedOut: the owner did not confirm by touch.
            Unsupported: the token has nothing to reset.
        """
        why = "resetting the token"
        if self.info.is_u2f_only:
            raise Unsupported(f"{self.name} has no reset: it speaks U2F alone")
        try:
            self.attempt(CtapCommand.RESET, None, "reset answer", why=why)
        except CtapRefusal as refusal:
            if refusal.status == CtapStatus.NOT_ALLOWED:
                raise TokenRefused(
                    "resetting the token failed: it allows that only just after power-up",
                    status=refusal.status,
                    hint="unplug it, plug it in, and run this again within 10 seconds",
                ) from None
            raise error_for(refusal.status, why) from None
        self.forget_info()


_DUMMY: Final[Mapping[int, object]] = {
    1: bytes(32),
    2: {"id": ".dummy", "name": ".dummy"},
    3: {"id": b"\x01", "name": "dummy"},
    4: [{"alg": -7, "type": "public-key"}],
    8: b"",
    9: 1,
}
"""CTAP 2.0's way to ask for a touch: an empty pinAuth is answered only after one (section 5.1)."""

_TOUCHED: Final = {CtapStatus.PIN_NOT_SET, CtapStatus.PIN_INVALID, CtapStatus.PIN_AUTH_INVALID}
