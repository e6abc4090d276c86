"""What the owner of an open token has proved: pinUvAuthTokens, asked for once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fidokit.client.connection import Connection
from fidokit.client.owner import proofs
from fidokit.client.owner.proofs import BuiltInUv, Permission, PinToken, Proof, Wish
from fidokit.types import CtapStatus

if TYPE_CHECKING:
    from fidokit.client.owner.persistent import Reading


class Owner:
    """The owner's proofs on one open token.

    Args:
        connection: to the token.
    """

    reading: Reading | None = None
    """How credentials are read without PIN; None: not at all."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._token: PinToken | None = None

    def authorize(self, permissions: Permission, rp_id: str | None, why: str) -> PinToken:
        """A pinUvAuthToken for this command; asked for once, used as long as it covers.

        Raises:
            PinError and others: see `proofs.obtain`.
        """
        if self._token is None or not self._token.covers(permissions, rp_id):
            self._token = proofs.obtain(self._connection, Wish(permissions, rp_id, why))
        return self._token

    def authorize_reading(self, rp_id: str | None, why: str) -> PinToken:
        """A pinUvAuthToken for listing credentials: without PIN where a right that lasts was kept.

        Raises:
            PinError and others: see `proofs.obtain`.
        """
        there = self._token
        if there is not None and there.covers(Permission.CREDENTIAL_MANAGEMENT, rp_id):
            return there
        kept = self.reading.token(self._connection, why) if self.reading else None
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
        if (
            self._connection.info.uv_configured
            and not self._connection.info.has_pin_token_permissions
        ):
            return BuiltInUv()
        return self.authorize(permissions, rp_id, why)

    def forget(self) -> None:
        """Drop what was proved: the PIN or the policy just changed, or the token is let go of."""
        self._token = None

    def spent(self) -> None:
        """Forget the pinUvAuthToken: a touch used up its permissions (CTAP 2.1 6.1.2 step 17)."""
        if self._connection.info.has_pin_token_permissions:
            self._token = None
