"""Enterprise attestation: who gets it, and the key and certificate that single the token out."""

from __future__ import annotations

import hmac
from typing import Final, NamedTuple

from fidokit.types import CoseAlg, CtapStatus
from fidokit.virtual.core.attestation import batch
from fidokit.virtual.core.keys.algorithms import ALGORITHMS, PrivateKey
from fidokit.virtual.core.keys.private import p256_scalar
from fidokit.virtual.core.ports import CtapRejection, DurableState
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.core.schema import Params

MEMBER: Final = "enterpriseAttestation"
_VENDOR_FACILITATED: Final = 1
_PLATFORM_MANAGED: Final = 2
_SERIAL_LENGTH: Final = 8


def wanted(profile: Profile, state: DurableState, params: Params, rp_id: str) -> bool:
    """Whether a request gets enterprise attestation (CTAP 2.3 section 7.1; ATT-07..09).

    Args:
        profile: whose list of RP ids decides where the vendor does.
        state: whether the owner switched it on.
        params: with or without the member.
        rp_id: of the request.

    Raises:
        CtapRejection: INVALID_PARAMETER while it is off, INVALID_OPTION for another number.
    """
    if MEMBER not in params:
        return False
    if not state.enterprise_attestation:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    kind: int = params[MEMBER]
    if kind not in (_VENDOR_FACILITATED, _PLATFORM_MANAGED):
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    return kind == _PLATFORM_MANAGED or rp_id in profile.enterprise_rp_ids


class Identity(NamedTuple):
    """What singles a token out.

    Args:
        key: its own, not the batch's: ordinary attestations say nothing of it.
        certificate: DER of a leaf that has the token's serial.
    """

    key: PrivateKey
    certificate: bytes


def identity(state: DurableState) -> Identity:
    """The token's identity; it follows from what no reset changes, so none changes it."""
    derived = _Derived(state.attestation_key)
    serial = derived.bytes(_SERIAL_LENGTH)
    secret = p256_scalar(derived)
    certificate = batch.make(secret, state.aaguid, derived, serial)
    return Identity(ALGORITHMS[CoseAlg.ES256].load(secret), certificate)


class _Derived:
    """The same bytes in the same order from the same key."""

    repeatable: Final = True

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._drawn = 0

    def bytes(self, count: int) -> bytes:
        """At most 32 bytes; see `ports.Rng`."""
        self._drawn += 1
        label = b"enterprise identity" + self._drawn.to_bytes(4)
        return hmac.digest(self._key, label, "sha256")[:count]
