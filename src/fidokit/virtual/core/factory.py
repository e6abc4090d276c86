"""The durable state of a token as made, and as it is after a reset."""

from __future__ import annotations

from fidokit.virtual.core import batch_certificate
from fidokit.virtual.core.ports import DurableState, Rng
from fidokit.virtual.core.private_keys import p256_scalar
from fidokit.virtual.core.profile import Profile

_KEY_LENGTH = 32


def new_state(profile: Profile, rng: Rng, *, uv_enrolled: bool = False) -> DurableState:
    """A token fresh from the factory.

    Args:
        profile: its model.
        rng: for its master keys and its batch key.
        uv_enrolled: whether built-in verification is configured (scripted, no templates), also
            where fresh tokens of the model come without it.
    """
    secret = p256_scalar(rng)
    return DurableState(
        aaguid=profile.aaguid,
        attestation_key=secret,
        attestation_certificate=batch_certificate.make(secret, profile.aaguid, rng),
        wrapping_key=rng.bytes(_KEY_LENGTH),
        hmac_secret_key=rng.bytes(_KEY_LENGTH),
        min_pin_length=profile.min_pin_length,
        pin_retries=profile.pin_attempts,
        uv_retries=profile.uv_attempts,
        uv_enrolled=uv_enrolled or profile.options.get("uv", False),
        always_uv=profile.options.get("alwaysUv", False),
        pin_complexity=bool(profile.pin_complexity),
    )


def reset_state(profile: Profile, state: DurableState, rng: Rng) -> DurableState:
    """The state after authenticatorReset: only the model's identity stays (RST-05)."""
    return DurableState(
        aaguid=state.aaguid,
        attestation_key=state.attestation_key,
        attestation_certificate=state.attestation_certificate,
        wrapping_key=rng.bytes(_KEY_LENGTH),
        hmac_secret_key=rng.bytes(_KEY_LENGTH),
        min_pin_length=profile.min_pin_length,
        pin_retries=profile.pin_attempts,
        uv_retries=profile.uv_attempts,
        uv_enrolled=profile.options.get("uv", False),
        always_uv=profile.options.get("alwaysUv", False),
        pin_complexity=bool(profile.pin_complexity),
    )
