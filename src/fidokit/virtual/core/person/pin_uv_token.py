"""The pinUvAuthToken: its life is a table, and every use of it is judged here (TOK-*)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntFlag, auto

from fidokit.types import CtapStatus
from fidokit.virtual.core.person import pin_protocol
from fidokit.virtual.core.ports import Clock, CtapRejection, Rng
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.core.schema import Params

TOKEN_LENGTH = 32


class TokenPermission(IntFlag):
    """What a token may be used for (CTAP 2.3 section 6.5.5.7)."""

    MAKE_CREDENTIAL = 0x01
    GET_ASSERTION = 0x02
    CREDENTIAL_MANAGEMENT = 0x04
    BIO_ENROLLMENT = 0x08
    LARGE_BLOB_WRITE = 0x10
    AUTHENTICATOR_CONFIG = 0x20
    PERSISTENT_CREDENTIAL_MANAGEMENT = 0x40


ALL_OF_2_0 = ~TokenPermission(0) & ~TokenPermission.PERSISTENT_CREDENTIAL_MANAGEMENT


class Life(Enum):
    """Where a token is in its life."""

    NONE = auto()
    UNUSED = auto()
    IN_USE = auto()


class TokenEvent(Enum):
    """What happens to a pinUvAuthToken."""

    ISSUED = auto()
    USED = auto()
    USAGE_LIMIT = auto()
    LIFETIME_LIMIT = auto()
    REVOKED = auto()


NEXT: Mapping[tuple[Life, TokenEvent], Life] = {
    (Life.NONE, TokenEvent.ISSUED): Life.UNUSED,
    (Life.UNUSED, TokenEvent.ISSUED): Life.UNUSED,
    (Life.IN_USE, TokenEvent.ISSUED): Life.UNUSED,
    (Life.UNUSED, TokenEvent.USED): Life.IN_USE,
    (Life.UNUSED, TokenEvent.USAGE_LIMIT): Life.NONE,
    (Life.UNUSED, TokenEvent.LIFETIME_LIMIT): Life.NONE,
    (Life.IN_USE, TokenEvent.LIFETIME_LIMIT): Life.NONE,
    (Life.UNUSED, TokenEvent.REVOKED): Life.NONE,
    (Life.IN_USE, TokenEvent.REVOKED): Life.NONE,
}
"""Pairs that are not here change nothing."""


@dataclass(slots=True)
class _Token:
    value: bytes = field(repr=False)
    protocol: int
    permissions: TokenPermission
    rp_id: str | None
    issued_ms: int
    usage_ms: int | None
    user_verified: bool = True
    user_present: bool = False
    by_sensor: bool = False


class TokenState:
    """The one session token there can be; issuing another kills it (TOK-07)."""

    def __init__(self, profile: Profile, clock: Clock, rng: Rng) -> None:
        self._profile = profile
        self._clock = clock
        self._rng = rng
        self._life = Life.NONE
        self._token: _Token | None = None
        self._serial = 0
        self._only = b""

    def issue(
        self,
        protocol: int,
        permissions: TokenPermission,
        rp_id: str | None = None,
        *,
        user_present: bool = False,
        contactless: bool = False,
    ) -> bytes:
        """A fresh token of 32 bytes; the older one is dead.

        Args:
            protocol: 1 or 2; the token works under this one alone (PIN-32).
            permissions: what it may be used for.
            rp_id: the relying party it is bound to, or None.
            user_present: whether issuing took a gesture of the user.
            contactless: whether it is asked for over NFC, where less time is given.
        """
        value = self._new_value()
        self._token = _Token(
            value,
            protocol,
            permissions,
            rp_id,
            issued_ms=self._clock.now_ms(),
            usage_ms=self._usage_ms(contactless),
            user_present=user_present,
            by_sensor=user_present,
        )
        self._serial += 1
        self._advance(TokenEvent.ISSUED)
        return value

    def _new_value(self) -> bytes:
        """Fresh bytes; on models of 2.0 the same for as long as there is power (2.0 5.5.2)."""
        if not self._profile.behavior.one_pin_token:
            return self._rng.bytes(TOKEN_LENGTH)
        self._only = self._only or self._rng.bytes(TOKEN_LENGTH)
        return self._only

    def _usage_ms(self, contactless: bool) -> int | None:
        behavior = self._profile.behavior
        if behavior.token_usage_ms is None or not contactless:
            return behavior.token_usage_ms
        return behavior.token_nfc_usage_ms

    def revoke(self) -> None:
        """Power lost, reset, or PIN changed (TOK-10)."""
        self._advance(TokenEvent.REVOKED)

    def serial(self) -> int | None:
        """The living token's number, for what must end with it; None while there is none."""
        return None if self._living() is None else self._serial

    def _advance(self, event: TokenEvent) -> None:
        self._life = NEXT.get((self._life, event), self._life)
        if self._life is Life.NONE:
            self._token = None

    def _living(self) -> _Token | None:
        if self._token is None:
            return None
        if self._token.usage_ms is not None:
            age = self._clock.now_ms() - self._token.issued_ms
            if age > self._token.usage_ms:
                self._advance(TokenEvent.USAGE_LIMIT)
            if age > self._profile.behavior.token_lifetime_ms:
                self._advance(TokenEvent.LIFETIME_LIMIT)
        return self._token

    def authenticate(
        self, protocol: int, message: bytes, param: bytes, permission: TokenPermission
    ) -> None:
        """Judge a pinUvAuthParam: the MAC of `message` under a living token that has `permission`.

        A failure spends nothing and leaves the token alive (TOK-12).

        Args:
            protocol: 1 or 2, already known to be offered.
            message: what the platform authenticated, per command (TOK-11).
            param: the MAC from the request.
            permission: what the command needs.

        Raises:
            CtapRejection: PIN_AUTH_INVALID.
        """
        token = self._living()
        if (
            token is None
            or token.protocol != protocol
            or not pin_protocol.verify(protocol, token.value, message, param)
        ):
            raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)
        self._advance(TokenEvent.USED)
        if permission not in token.permissions:
            raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)

    def demand(self, params: Params, message: bytes, permission: TokenPermission) -> None:
        """For management commands: params must hold a good pinUvAuthParam (CM-01, CFG-02).

        Args:
            params: with members "pinUvAuthParam" (bytes) and "pinUvAuthProtocol" (int).
            message: as for `authenticate`.
            permission: as for `authenticate`.

        Raises:
            CtapRejection: PUAT_REQUIRED, MISSING_PARAMETER, INVALID_PARAMETER, PIN_AUTH_INVALID.
        """
        if "pinUvAuthParam" not in params:
            raise CtapRejection(CtapStatus.PUAT_REQUIRED)
        protocol = self.offered_protocol(params)
        self.authenticate(protocol, message, params["pinUvAuthParam"], permission)

    def offered_protocol(self, params: Params) -> int:
        """Member "pinUvAuthProtocol", which must be there and be one that getInfo lists.

        Raises:
            CtapRejection: MISSING_PARAMETER, INVALID_PARAMETER.
        """
        if "pinUvAuthProtocol" not in params:
            raise CtapRejection(CtapStatus.MISSING_PARAMETER)
        protocol: int = params["pinUvAuthProtocol"]
        if protocol not in self._profile.pin_protocols:
            raise CtapRejection(CtapStatus.INVALID_PARAMETER)
        return protocol

    def require_unbound(self) -> None:
        """The token must not be bound to any relying party (CM-03).

        Raises:
            CtapRejection: PIN_AUTH_INVALID.
        """
        if self._token is None or self._token.rp_id is not None:
            raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)

    def allows_rp(self, rp_id: str) -> bool:
        """Whether the token is bound to this relying party or to none."""
        return self._token is not None and self._token.rp_id in (None, rp_id)

    def require_rp(self, rp_id: str) -> None:
        """The token must be bound to this relying party or to none (CM-08, CM-12).

        Raises:
            CtapRejection: PIN_AUTH_INVALID.
        """
        if not self.allows_rp(rp_id):
            raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)

    def require_rp_hash(self, rp_id_hash: bytes) -> None:
        """The token must be bound to the relying party of this SHA-256 or to none (CM-08).

        Raises:
            CtapRejection: PIN_AUTH_INVALID.
        """
        bound = self._token.rp_id if self._token else ""
        if bound is not None and hashlib.sha256(bound.encode()).digest() != rp_id_hash:
            raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)

    def verify_user(self, rp_id: str) -> None:
        """For makeCredential and getAssertion, after `authenticate`: the user was verified, and
        for this relying party; an unbound token is bound to it now (TOK-06).

        Raises:
            CtapRejection: PIN_AUTH_INVALID.
        """
        self.require_rp(rp_id)
        if self._token is None or not self._token.user_verified:
            raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)
        if self._profile.behavior.token_has_permissions:
            self._token.rp_id = rp_id

    def user_present(self) -> bool:
        """Whether the gesture that issued the token still counts as a touch (TOK-03)."""
        token = self._living()
        if token is None or not token.user_present:
            return False
        age = self._clock.now_ms() - token.issued_ms
        return token.usage_ms is None or age <= token.usage_ms

    def by_sensor(self) -> bool:
        """Whether built-in verification, rather than a PIN, issued the token (UVM-01)."""
        return self._token is not None and self._token.by_sensor

    def spend(self) -> None:
        """User presence was collected: the token verifies nobody any more and may at most write
        large blobs (TOK-04)."""
        token = self._living()
        if token is not None and self._profile.behavior.token_has_permissions:
            token.user_present = token.user_verified = False
            token.permissions &= TokenPermission.LARGE_BLOB_WRITE
