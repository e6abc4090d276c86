"""authenticatorConfig (0D): the settings that an owner or an enterprise makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from fidokit import cbor
from fidokit.types import CtapStatus
from fidokit.virtual.core.commands.get_info import offers_config
from fidokit.virtual.core.context import Command, Reply, TokenContext
from fidokit.virtual.core.person import persistent_token
from fidokit.virtual.core.person.pin_uv_token import TokenPermission
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.schema import (
    BOOL,
    BYTES,
    MAP,
    TEXT,
    UINT,
    ListOf,
    Member,
    Params,
    Record,
    check,
)

_ENABLE_ENTERPRISE: Final = 0x01
_TOGGLE_ALWAYS_UV: Final = 0x02
_SET_MIN_PIN_LENGTH: Final = 0x03
_ENABLE_LONG_TOUCH: Final = 0x04
_VENDOR: Final = 0xFF
_MESSAGE_HEAD: Final = b"\xff" * 32 + b"\x0d"

REQUEST = Record(
    {
        0x01: Member("subCommand", UINT, required=True),
        0x02: Member("params", MAP),
        0x03: Member("pinUvAuthProtocol", UINT),
        0x04: Member("pinUvAuthParam", BYTES),
    }
)

_MIN_PIN_LENGTH = Record(
    {
        0x01: Member("newMinPINLength", UINT),
        0x02: Member("minPinLengthRPIDs", ListOf(TEXT)),
        0x03: Member("forceChangePin", BOOL),
        0x04: Member("pinComplexityPolicy", BOOL),
    }
)


@dataclass(frozen=True, slots=True)
class _Subcommand:
    """One subcommand: what it does with its checked inner parameters, and their form."""

    run: Callable[[TokenContext, Params], Reply]
    form: Record | None = None


def run(token: TokenContext, params: Params) -> Reply:
    """Change a setting (CTAP 2.3 section 6.11).

    Raises:
        CtapRejection: see CFG-01 to CFG-11.
    """
    number = params["subCommand"]
    subcommand = _SUBCOMMANDS.get(number)
    if subcommand is None or not offers_config(token.profile, number):
        raise CtapRejection(token.profile.behavior.unknown_setting)
    if _needs_authorization(token, number):
        _authorize(token, params)
    if number in token.profile.behavior.settings_ignored:
        return None
    return subcommand.run(token, _inner(params, subcommand.form))


def _needs_authorization(token: TokenContext, number: int) -> bool:
    # While nothing can verify the user, alwaysUv could otherwise never be switched off again.
    return token.protected or (token.always_uv and number != _TOGGLE_ALWAYS_UV)


def _authorize(token: TokenContext, params: Params) -> None:
    message = _MESSAGE_HEAD + bytes([params["subCommand"]])
    if "params" in params:
        message += cbor.encode(params["params"])
    token.tokens.demand(params, message, TokenPermission.AUTHENTICATOR_CONFIG)


def _inner(params: Params, form: Record | None) -> Params:
    return {} if form is None else check(form, params.get("params", {}))


_VENDOR_COMMAND = Record({0x01: Member("vendorCommandId", UINT, required=True)})


def _enable_enterprise(token: TokenContext, _inner: Params) -> Reply:
    token.save(enterprise_attestation=True)
    return None


def _enable_long_touch(token: TokenContext, _inner: Params) -> Reply:
    token.save(long_touch_for_reset=True)
    return None


def _vendor(token: TokenContext, inner: Params) -> Reply:
    if inner["vendorCommandId"] not in token.profile.vendor_config_commands:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    # A model lists these ids, but only its maker knows what they do.
    raise CtapRejection(CtapStatus.OPERATION_DENIED)


def _toggle_always_uv(token: TokenContext, _inner: Params) -> Reply:
    if token.state.always_uv and token.profile.behavior.always_uv_fixed:
        raise CtapRejection(CtapStatus.OPERATION_DENIED)
    token.save(always_uv=not token.state.always_uv)
    return None


# --- the minimum PIN length ----------------------------------------------------------------------


def _set_min_pin_length(token: TokenContext, inner: Params) -> Reply:
    """All or nothing: every member is judged before any is stored (section 6.11.4)."""
    length = _judged_length(token, inner)
    rp_ids = _judged_rp_ids(token, inner)
    wanted: bool = inner.get("forceChangePin", False)
    if wanted and not token.pin_set:
        raise CtapRejection(CtapStatus.PIN_NOT_SET)
    complexity: bool = inner.get("pinComplexityPolicy", False)
    if complexity and token.profile.pin_complexity is None:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    too_short = token.pin_set and token.state.pin_length < length
    forced = wanted or too_short
    changes: dict[str, Any] = {
        "min_pin_length": length,
        "min_pin_rp_ids": rp_ids,
        "force_pin_change": token.state.force_pin_change or forced,
        "pin_complexity": token.state.pin_complexity or complexity,
    }
    renewed = persistent_token.renewed(token) if changes["force_pin_change"] else {}
    token.save(**changes, **renewed)
    if renewed:
        token.tokens.revoke()
    return None


def _judged_length(token: TokenContext, inner: Params) -> int:
    """The minimum may rise, up to the longest PIN there can be, and never falls but by a reset."""
    current = token.state.min_pin_length
    length: int = inner.get("newMinPINLength", current)
    if not current <= length <= token.profile.max_pin_length:
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION)
    return length


def _judged_rp_ids(token: TokenContext, inner: Params) -> tuple[str, ...]:
    if "minPinLengthRPIDs" not in inner:
        return token.state.min_pin_rp_ids
    if "minPinLength" not in token.profile.extensions:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    rp_ids: list[str] = inner["minPinLengthRPIDs"]
    if len(rp_ids) > token.profile.max_min_pin_rp_ids:
        raise CtapRejection(CtapStatus.KEY_STORE_FULL)
    return tuple(rp_ids) or token.state.min_pin_rp_ids


_SUBCOMMANDS: Final[Mapping[int, _Subcommand]] = MappingProxyType(
    {
        _ENABLE_ENTERPRISE: _Subcommand(_enable_enterprise),
        _TOGGLE_ALWAYS_UV: _Subcommand(_toggle_always_uv),
        _SET_MIN_PIN_LENGTH: _Subcommand(_set_min_pin_length, _MIN_PIN_LENGTH),
        _ENABLE_LONG_TOUCH: _Subcommand(_enable_long_touch),
        _VENDOR: _Subcommand(_vendor, _VENDOR_COMMAND),
    }
)

SERVED: Final = frozenset(_SUBCOMMANDS)
"""The subcommands there are; a model offers those of its options."""

COMMAND = Command(run, REQUEST, lambda profile: profile.offers("authnrCfg"))
