"""authenticatorClientPIN (06): a table of subcommands (CTAP 2.3 section 6.5), and which permissions
a token of this model may carry (section 6.5.5.7; PIN-21..23)."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import NFC, Command, Reply, TokenContext
from fidokit.virtual.core.person import persistent_token, pin, presence
from fidokit.virtual.core.person.pin import STATUS_FOR, PinLock
from fidokit.virtual.core.person.pin_protocol import COSE_KEY, PROTOCOLS, SharedSecret, verify
from fidokit.virtual.core.person.pin_uv_token import ALL_OF_2_0, TokenPermission
from fidokit.virtual.core.ports import CtapRejection, Steps
from fidokit.virtual.core.schema import BYTES, TEXT, UINT, Member, Params, Record

_DEFINED = 0x7F
_OPERATIONS = TokenPermission.MAKE_CREDENTIAL | TokenPermission.GET_ASSERTION

_FEATURE_BY_PIN: Mapping[TokenPermission, str] = MappingProxyType(
    {
        TokenPermission.CREDENTIAL_MANAGEMENT: "credMgmt",
        TokenPermission.BIO_ENROLLMENT: "bioEnroll",
        TokenPermission.LARGE_BLOB_WRITE: "largeBlobs",
        TokenPermission.AUTHENTICATOR_CONFIG: "authnrCfg",
        TokenPermission.PERSISTENT_CREDENTIAL_MANAGEMENT: "perCredMgmtRO",
    }
)

_FEATURE_BY_UV: Mapping[TokenPermission, str] = MappingProxyType(
    {
        **_FEATURE_BY_PIN,
        TokenPermission.BIO_ENROLLMENT: "uvBioEnroll",
        TokenPermission.AUTHENTICATOR_CONFIG: "uvAcfg",
    }
)


def grantable(token: TokenContext, requested: int, *, built_in: bool) -> TokenPermission:
    """The permissions to grant; undefined bits are ignored.

    Args:
        token: whose features decide.
        requested: member 09 of the request.
        built_in: by built-in verification rather than by PIN.

    Raises:
        CtapRejection: INVALID_PARAMETER for 0; UNAUTHORIZED_PERMISSION for a bit without its
            feature, and for pcmr together with any other.
    """
    if requested == 0:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    permissions = TokenPermission(requested & _DEFINED)
    features = _FEATURE_BY_UV if built_in else _FEATURE_BY_PIN
    lacking = any(
        bit in permissions and not token.profile.offers(option) for bit, option in features.items()
    )
    persistent = TokenPermission.PERSISTENT_CREDENTIAL_MANAGEMENT
    mixed = persistent in permissions and permissions != persistent
    shut_out = not built_in and bool(permissions & _OPERATIONS) and not token.pin_usable
    if lacking or mixed or shut_out:
        raise CtapRejection(CtapStatus.UNAUTHORIZED_PERMISSION)
    return permissions


REQUEST = Record(
    {
        0x01: Member("pinUvAuthProtocol", UINT),
        0x02: Member("subCommand", UINT, required=True),
        0x03: Member("keyAgreement", COSE_KEY),
        0x04: Member("pinUvAuthParam", BYTES),
        0x05: Member("newPinEnc", BYTES),
        0x06: Member("pinHashEnc", BYTES),
        0x09: Member("permissions", UINT),
        0x0A: Member("rpId", TEXT),
    }
)


class _Exchange(NamedTuple):
    """One request's protocol and shared secret, with what they open and seal."""

    token: TokenContext
    protocol: int
    secret: SharedSecret

    def require_mac(self, params: Params, *covered: str) -> None:
        message = b"".join(params[name] for name in covered)
        if not verify(self.protocol, self.secret.mac_key, message, params["pinUvAuthParam"]):
            raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)

    def open(self, sealed: bytes) -> bytes | None:
        return PROTOCOLS[self.protocol].decrypt(self.secret, sealed)

    def seal(self, plain: bytes) -> bytes:
        return PROTOCOLS[self.protocol].encrypt(self.secret, plain, self.token.rng)


def _exchange(token: TokenContext, params: Params) -> _Exchange:
    protocol: int = params["pinUvAuthProtocol"]
    secret = token.pin.agreement(protocol).agree(params["keyAgreement"])
    return _Exchange(token, protocol, secret)


def _get_pin_retries(token: TokenContext, params: Params) -> Reply:
    retries, behavior = token.state.pin_retries, token.profile.behavior
    if behavior.retries_need_protocol and "pinUvAuthProtocol" not in params:
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)
    if behavior.retries_without_pin is not None and not token.pin_set:
        raise CtapRejection(behavior.retries_without_pin)
    if token.pin.lock(retries) is PinLock.NEEDS_POWER_CYCLE:
        return {3: retries, 4: True}
    return {3: retries}


def _get_key_agreement(token: TokenContext, params: Params) -> Reply:
    return {1: token.pin.agreement(params["pinUvAuthProtocol"]).public()}


def _set_pin(token: TokenContext, params: Params) -> Reply:
    if token.pin_set:
        raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)
    exchange = _exchange(token, params)
    exchange.require_mac(params, "newPinEnc")
    _store_pin(
        token, *pin.judge_new_pin(token.profile, token.state, exchange.open(params["newPinEnc"]))
    )
    return None


def _store_pin(token: TokenContext, pin_hash: bytes, length: int) -> None:
    token.save(
        pin_hash=pin_hash,
        pin_length=length,
        pin_retries=token.profile.pin_attempts,
        force_pin_change=False,
        **persistent_token.renewed(token),
    )
    token.tokens.revoke()


def _change_pin(token: TokenContext, params: Params) -> Reply:
    _require_usable_pin(token)
    exchange = _exchange(token, params)
    exchange.require_mac(params, "newPinEnc", "pinHashEnc")
    _compare_pin(exchange, params["pinHashEnc"])
    pin_hash, length = pin.judge_new_pin(
        token.profile, token.state, exchange.open(params["newPinEnc"])
    )
    if token.state.force_pin_change and hmac.compare_digest(pin_hash, _stored_hash(token)):
        raise CtapRejection(CtapStatus.PIN_POLICY_VIOLATION)
    _store_pin(token, pin_hash, length)
    return None


def _stored_hash(token: TokenContext) -> bytes:
    return token.state.pin_hash or b""


def _require_usable_pin(token: TokenContext) -> None:
    if not token.pin_set:
        raise CtapRejection(CtapStatus.PIN_NOT_SET)
    lock = token.pin.lock(token.state.pin_retries)
    if lock is not PinLock.READY:
        raise CtapRejection(STATUS_FOR[lock])


def _compare_pin(exchange: _Exchange, pin_hash_enc: bytes) -> None:
    token = exchange.token
    # durable before comparing: pulling the plug must cost a try
    token.save(pin_retries=token.state.pin_retries - 1)
    offered = exchange.open(pin_hash_enc) or b""
    if not hmac.compare_digest(offered, _stored_hash(token)):
        raise CtapRejection(token.pin.missed(token.state.pin_retries))
    token.pin.matched()
    token.save(
        pin_retries=token.profile.pin_attempts,
        uv_retries=token.profile.uv_attempts,
        uv_count=0,
    )


def _pin_token(
    token: TokenContext, params: Params, permissions: TokenPermission, forced: CtapStatus
) -> Reply:
    _require_usable_pin(token)
    exchange = _exchange(token, params)
    _compare_pin(exchange, params["pinHashEnc"])
    if token.state.force_pin_change:
        raise CtapRejection(forced)
    return _issue(exchange, permissions, params, user_present=False)


def _issue(
    exchange: _Exchange, permissions: TokenPermission, params: Params, *, user_present: bool
) -> Reply:
    token, rp_id = exchange.token, params.get("rpId")
    if permissions is TokenPermission.PERSISTENT_CREDENTIAL_MANAGEMENT:
        return {2: exchange.seal(persistent_token.value(token))}
    issued = token.tokens.issue(
        exchange.protocol,
        permissions,
        rp_id,
        user_present=user_present,
        contactless=token.transport == NFC,
    )
    return {2: exchange.seal(issued)}


def _get_pin_token(token: TokenContext, params: Params) -> Reply:
    if not token.profile.behavior.token_has_permissions:
        without_rp = {name: value for name, value in params.items() if name != "rpId"}
        return _pin_token(token, without_rp, ALL_OF_2_0, CtapStatus.PIN_INVALID)
    if "permissions" in params or "rpId" in params:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    if not token.pin_usable:
        raise CtapRejection(CtapStatus.UNAUTHORIZED_PERMISSION)
    default = TokenPermission.MAKE_CREDENTIAL | TokenPermission.GET_ASSERTION
    return _pin_token(token, params, default, CtapStatus.PIN_INVALID)


def _get_token_using_pin(token: TokenContext, params: Params) -> Reply:
    permissions = grantable(token, params["permissions"], built_in=False)
    return _pin_token(token, params, permissions, CtapStatus.PIN_POLICY_VIOLATION)


def _get_token_using_uv(token: TokenContext, params: Params) -> Steps[Reply]:
    permissions = grantable(token, params["permissions"], built_in=True)
    if not token.uv_configured:
        raise CtapRejection(CtapStatus.NOT_ALLOWED)
    exchange = _exchange(token, params)
    yield from presence.verify(token, presence.IN_CLIENT_PIN)
    return _issue(exchange, permissions, params, user_present=True)


def _get_uv_retries(token: TokenContext, _params: Params) -> Reply:
    return {5: token.state.uv_retries}


class _Subcommand(NamedTuple):
    """A subcommand: its handler, the options it needs all of, and the members it needs."""

    run: Callable[[TokenContext, Params], Reply | Steps[Reply]]
    options: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


_AGREED = ("pinUvAuthProtocol", "keyAgreement")
_NEW_PIN = (*_AGREED, "newPinEnc", "pinUvAuthParam")
_WITH_PERMISSIONS = (*_AGREED, "permissions")

SUBCOMMANDS: Mapping[int, _Subcommand] = MappingProxyType(
    {
        0x01: _Subcommand(_get_pin_retries, ("clientPin",)),
        0x02: _Subcommand(_get_key_agreement, (), ("pinUvAuthProtocol",)),
        0x03: _Subcommand(_set_pin, ("clientPin",), _NEW_PIN),
        0x04: _Subcommand(_change_pin, ("clientPin",), (*_NEW_PIN, "pinHashEnc")),
        0x05: _Subcommand(_get_pin_token, ("clientPin",), (*_AGREED, "pinHashEnc")),
        0x06: _Subcommand(_get_token_using_uv, ("uv", "pinUvAuthToken"), _WITH_PERMISSIONS),
        0x07: _Subcommand(_get_uv_retries, ("uv",)),
        0x09: _Subcommand(
            _get_token_using_pin,
            ("clientPin", "pinUvAuthToken"),
            (*_WITH_PERMISSIONS, "pinHashEnc"),
        ),
    }
)


def run(token: TokenContext, params: Params) -> Reply | Steps[Reply]:
    """One subcommand.

    Raises:
        CtapRejection: INVALID_PARAMETER for an unknown protocol, before INVALID_SUBCOMMAND,
            before MISSING_PARAMETER (PIN-02, PIN-03).
    """
    if "pinUvAuthProtocol" in params:
        token.tokens.offered_protocol(params)
    subcommand = SUBCOMMANDS.get(params["subCommand"])
    if subcommand is None or not all(map(token.profile.offers, subcommand.options)):
        raise CtapRejection(CtapStatus.INVALID_SUBCOMMAND)
    if not all(member in params for member in subcommand.members):
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)
    return subcommand.run(token, params)


COMMAND = Command(run, REQUEST, offered=lambda profile: bool(profile.pin_protocols))
