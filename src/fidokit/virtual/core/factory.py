"""The durable state of a token as made, and as it is after a reset."""

from __future__ import annotations

from typing import Any

from fidokit.virtual.core.ports import DurableState, Rng, Template
from fidokit.virtual.core.profile import Profile

_KEY_LENGTH = 32
TEMPLATE_ID_LENGTH = 8


def new_state(profile: Profile, rng: Rng, *, uv_enrolled: bool = False) -> DurableState:
    """A token fresh from the factory.

    Args:
        profile: its model.
        rng: for its master keys and its batch key.
        uv_enrolled: whether built-in verification is configured, also where fresh tokens of the
            model come without it; on a model that enrolls fingers, by a template.
    """
    # Keys take long to import, and few programs make a token.
    from fidokit.virtual.core.attestation import certificates
    from fidokit.virtual.core.keys.algorithms import p256_scalar

    secret = p256_scalar(rng)
    enrolled = uv_enrolled or profile.options.get("uv", False)
    return DurableState(
        aaguid=profile.aaguid,
        attestation_key=secret,
        attestation_certificate=certificates.make_certificate(secret, profile.aaguid, rng),
        wrapping_key=rng.bytes(_KEY_LENGTH),
        hmac_secret_key=rng.bytes(_KEY_LENGTH),
        min_pin_length=profile.min_pin_length,
        pin_retries=profile.pin_attempts,
        uv_retries=profile.uv_attempts,
        uv_enrolled=enrolled,
        templates=_first_finger(rng) if enrolled and profile.enrolls_fingers else (),
        **_preconfigured(profile),
        persistent_token=persistent_token(profile, rng),
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
        **_preconfigured(profile),
        persistent_token=persistent_token(profile, rng),
    )


def _first_finger(rng: Rng) -> tuple[Template, ...]:
    return (Template(rng.bytes(TEMPLATE_ID_LENGTH)),)


def persistent_token(profile: Profile, rng: Rng) -> bytes | None:
    """A fresh persistent pinUvAuthToken, 32 bytes, where the model has such tokens."""
    return rng.bytes(_KEY_LENGTH) if profile.offers("perCredMgmtRO") else None


def _preconfigured(profile: Profile) -> dict[str, Any]:
    return {
        "always_uv": profile.options.get("alwaysUv", False),
        "enterprise_attestation": profile.options.get("ep", False),
        "long_touch_for_reset": bool(profile.long_touch_for_reset),
        "pin_complexity": bool(profile.pin_complexity),
    }
