"""The policy for a new PIN (CTAP 2.3 section 6.5.1; PIN-11..15)."""

from __future__ import annotations

import hashlib

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.person.pin_complexity import too_simple
from fidokit.virtual.core.ports import CtapRejection

PADDED_LENGTH = 64


def pin_hash(pin: bytes) -> bytes:
    """LEFT(SHA-256(PIN), 16): what is stored and compared."""
    return hashlib.sha256(pin).digest()[:16]


def judge(token: TokenContext, padded: bytes | None) -> tuple[bytes, int]:
    """The hash and the length in code points of a PIN that the policy accepts.

    Args:
        token: whose minimum and maximum apply.
        padded: the decrypted form, 64 bytes with at least one zero at its end; None where it
            could not be decrypted.

    Raises:
        CtapRejection: PIN_POLICY_VIOLATION.
    """
    if padded is None or len(padded) != PADDED_LENGTH or padded[-1]:
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION)
    pin = padded.rstrip(b"\0")
    try:
        text = pin.decode()
    except UnicodeDecodeError:
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION) from None
    fits = token.state.min_pin_length <= len(text) <= token.profile.max_pin_length
    if not fits or (token.state.pin_complexity and too_simple(text)):
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION)
    return pin_hash(pin), len(text)
