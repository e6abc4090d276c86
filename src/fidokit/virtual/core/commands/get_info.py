"""authenticatorGetInfo (04): a table from member to what it says (CTAP 2.3 section 6.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from fidokit.virtual.core.context import NFC, Command, Reply, TokenContext
from fidokit.virtual.core.person import persistent_token
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.core.schema import Params


def _versions(token: TokenContext) -> list[str]:
    # CTAP1 knows no verification, so alwaysUv without a sensor shuts it off (GI-14)
    without_u2f = token.state.always_uv and not token.uv_configured
    return [v for v in token.profile.versions if not (without_u2f and v == "U2F_V2")]


_OPTION_FROM_STATE: Mapping[str, Callable[[TokenContext], bool]] = MappingProxyType(
    {
        "clientPin": lambda token: token.pin_set,
        "uv": lambda token: token.uv_configured,
        "alwaysUv": lambda token: token.state.always_uv,
        "ep": lambda token: token.state.enterprise_attestation,
        "bioEnroll": lambda token: bool(token.state.templates),
        "userVerificationMgmtPreview": lambda token: bool(token.state.templates),
        "makeCredUvNotRqd": lambda token: token.make_cred_uv_not_required,
    }
)


def _options(token: TokenContext) -> dict[str, bool] | None:
    return {
        name: _OPTION_FROM_STATE[name](token) if name in _OPTION_FROM_STATE else value
        for name, value in token.profile.options.items()
    } or None


def _transports(token: TokenContext) -> list[str] | None:
    """As the model lists them; on a reader, what it was reached by is among them."""
    listed = list(token.profile.transports)
    if token.transport == NFC and listed and NFC not in listed:
        return [NFC]
    return listed or None


def _algorithms(token: TokenContext) -> list[dict[str, Any]]:
    return [{"alg": alg.value, "type": "public-key"} for alg in token.profile.algorithms]


def _max_pin_length(token: TokenContext) -> int | None:
    return token.profile.max_pin_length if token.profile.offers("clientPin") else None


def _max_min_pin_rp_ids(token: TokenContext) -> int | None:
    known = token.profile.offers("setMinPINLength") and token.profile.extends("minPinLength")
    return token.profile.max_min_pin_rp_ids if known else None


def _remaining(token: TokenContext) -> int | None:
    if not token.profile.offers("rk"):
        return None
    return max(0, token.profile.max_resident - token.store.count())


_CONFIG_FEATURES: Mapping[int, Callable[[Profile], bool]] = MappingProxyType(
    {
        0x01: lambda profile: profile.offers("ep"),
        0x02: lambda profile: profile.offers("alwaysUv"),
        0x03: lambda profile: profile.offers("setMinPINLength"),
        0x04: lambda profile: profile.long_touch_for_reset is not None,
        0xFF: lambda profile: bool(profile.vendor_config_commands),
    }
)
"""Which feature comes with which authenticatorConfig subcommand (GI-10)."""


def offers_config(profile: Profile, number: int) -> bool:
    """Whether a model has a subcommand of authenticatorConfig.

    Args:
        profile: the model; what it lists of its own counts, too (CTAP 2.3 section 6.4, member 1F).
        number: of the subcommand.
    """
    listed = profile.config_commands is None or number in profile.config_commands
    return listed and number in _CONFIG_FEATURES and _CONFIG_FEATURES[number](profile)


def _config_commands(token: TokenContext) -> list[int] | None:
    if not token.profile.offers("authnrCfg"):
        return None
    return [number for number in _CONFIG_FEATURES if offers_config(token.profile, number)]


def _long_touch(token: TokenContext) -> bool | None:
    known = token.profile.long_touch_for_reset is not None
    return token.state.long_touch_for_reset if known else None


def _max_cred_blob(token: TokenContext) -> int | None:
    return token.profile.max_cred_blob if token.profile.extends("credBlob") else None


def _pin_complexity(token: TokenContext) -> bool | None:
    return None if token.profile.pin_complexity is None else token.state.pin_complexity


def _pin_complexity_url(token: TokenContext) -> bytes | None:
    known = token.profile.pin_complexity is not None
    return token.profile.pin_complexity_url if known else None


def _when(option: str, value: Callable[[TokenContext], Any]) -> Callable[[TokenContext], Any]:
    return lambda token: value(token) if token.profile.offers(option) else None


MEMBERS: Mapping[int, Callable[[TokenContext], Any]] = MappingProxyType(
    {
        0x01: _versions,
        0x02: lambda token: list(token.profile.extensions) or None,
        0x03: lambda token: token.state.aaguid,
        0x04: _options,
        0x05: lambda token: token.profile.max_msg_size,
        0x06: lambda token: list(token.profile.pin_protocols) or None,
        0x07: lambda token: token.profile.max_credentials_in_list,
        0x08: lambda token: token.profile.max_credential_id_length,
        0x09: _transports,
        0x0A: _algorithms,
        0x0B: _when("largeBlobs", lambda token: token.profile.max_large_blob_array),
        0x0C: _when("clientPin", lambda token: token.state.force_pin_change),
        0x0D: _when("clientPin", lambda token: token.state.min_pin_length),
        0x0E: lambda token: token.profile.firmware_version,
        0x0F: _max_cred_blob,
        0x10: _max_min_pin_rp_ids,
        0x11: _when("uv", lambda token: token.profile.preferred_uv_attempts),
        0x12: _when("uv", lambda token: token.profile.uv_modality),
        0x13: lambda token: dict(token.profile.certifications) or None,
        0x14: _remaining,
        0x15: lambda token: list(token.profile.vendor_config_commands) or None,
        0x16: lambda token: list(token.profile.attestation_formats),
        0x17: _when("uv", lambda token: token.state.uv_count),
        0x18: _long_touch,
        0x19: persistent_token.sealed_identifier,
        0x1A: lambda token: list(token.profile.transports_for_reset) or None,
        0x1B: _pin_complexity,
        0x1C: _pin_complexity_url,
        0x1D: _max_pin_length,
        0x1E: persistent_token.sealed_store_state,
        0x1F: _config_commands,
    }
)
"""None leaves a member out."""

_FORCE_PIN_CHANGE: Final = 0x0C
"""Absent means false (CTAP 2.3 section 6.4), so a model as it comes need not have shown it."""


def run(token: TokenContext, _params: Params) -> Reply:
    """What this token is and can do now; needs neither PIN nor touch (GI-19)."""
    said = {
        number: say(token)
        for number, say in MEMBERS.items()
        if number in token.profile.info_members or _is_news(number, token)
    }
    return {number: value for number, value in said.items() if value is not None}


def _is_news(number: int, token: TokenContext) -> bool:
    return number == _FORCE_PIN_CHANGE and token.state.force_pin_change


COMMAND = Command(run)
