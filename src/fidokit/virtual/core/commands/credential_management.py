"""authenticatorCredentialManagement (0A, preview 41): list, rename and delete what is resident."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fidokit import cbor
from fidokit.types import CredentialId, CtapStatus
from fidokit.virtual.core.commands.make_credential import stored_name
from fidokit.virtual.core.context import Command, Reply, TokenContext
from fidokit.virtual.core.continuation import Continuation
from fidokit.virtual.core.person import persistent_token
from fidokit.virtual.core.person.pin_uv_token import TokenPermission
from fidokit.virtual.core.ports import CtapRejection, RelyingParty, StoredCredential
from fidokit.virtual.core.schema import (
    BYTES,
    DESCRIPTOR,
    MAP,
    UINT,
    USER,
    Member,
    Params,
    Record,
    check,
)

_HASH_LENGTH: Final = 32

REQUEST = Record(
    {
        0x01: Member("subCommand", UINT, required=True),
        0x02: Member("params", MAP),
        0x03: Member("pinUvAuthProtocol", UINT),
        0x04: Member("pinUvAuthParam", BYTES),
    }
)

_OF_RP = Record({0x01: Member("rpIDHash", BYTES, required=True)})
_OF_CREDENTIAL = Record({0x02: Member("credentialID", DESCRIPTOR, required=True)})
_NEW_USER = Record(
    {
        0x02: Member("credentialID", DESCRIPTOR, required=True),
        0x03: Member("user", USER, required=True),
    }
)


class _Subcommand(NamedTuple):
    """One subcommand.

    Args:
        run: what it does with its checked inner parameters.
        form: of those; None if it has none.
        continues: the enumeration it hands more out of; it needs no pinUvAuthParam then, since
            the Begin before it had one.
        reads: what a session token must pass besides; subcommands that only read have this, and
            a persistent token passes without (CM-12).
    """

    run: Callable[[TokenContext, Params], Reply]
    form: Record | None = None
    continues: Continuation | None = None
    reads: Callable[[TokenContext, Params], None] | None = None


def run(token: TokenContext, params: Params) -> Reply:
    """Manage resident credentials (CTAP 2.3 section 6.8).

    Raises:
        CtapRejection: see CM-01 to CM-13.
    """
    subcommand = _SUBCOMMANDS.get(params["subCommand"])
    if subcommand is None:
        raise CtapRejection(CtapStatus.INVALID_SUBCOMMAND)
    if subcommand.continues is not None:
        return subcommand.run(token, {})
    if not token.profile.behavior.listings_interleave:
        token.enumerations.drop()
    return subcommand.run(token, _authorized(token, params, subcommand))


def _authorized(token: TokenContext, params: Params, subcommand: _Subcommand) -> Params:
    """The inner parameters, once the platform has shown a token with permission cm or pcmr."""
    if "pinUvAuthParam" not in params:
        raise CtapRejection(CtapStatus.PUAT_REQUIRED)
    message = bytes([params["subCommand"]])
    inner: Params = {}
    if subcommand.form is not None:
        if "params" not in params:
            raise CtapRejection(CtapStatus.MISSING_PARAMETER)
        inner = check(subcommand.form, params["params"])
        message += cbor.encode(params["params"])
    token.authority = None
    if subcommand.reads is None or not persistent_token.authorizes(token, params, message):
        token.tokens.demand(params, message, TokenPermission.CREDENTIAL_MANAGEMENT)
        token.authority = token.tokens.serial()
        if subcommand.reads is not None:
            subcommand.reads(token, inner)
    return inner


def _for_all_rps(token: TokenContext, _inner: Params) -> None:
    token.tokens.require_unbound()


def _for_this_rp(token: TokenContext, inner: Params) -> None:
    token.tokens.require_rp_hash(inner["rpIDHash"])


def _metadata(token: TokenContext, _inner: Params) -> Reply:
    existing = token.store.count()
    return {0x01: existing, 0x02: max(0, token.profile.max_resident - existing)}


# --- enumerations ------------------------------------------------------------------------------


def _first_rp(token: TokenContext, _inner: Params) -> Reply:
    parties = token.store.relying_parties()
    if not parties:
        raise CtapRejection(CtapStatus.NO_CREDENTIALS)
    _remember(token, Continuation.RELYING_PARTIES, parties[1:])
    return {**_rp_members(parties[0]), 0x05: len(parties)}


def _next_rp(token: TokenContext, _inner: Params) -> Reply:
    return _rp_members(_take(token, Continuation.RELYING_PARTIES))


def _rp_members(party: RelyingParty) -> dict[int, Any]:
    return {0x03: {"id": party.id}, 0x04: party.id_hash}


def _first_credential(token: TokenContext, inner: Params) -> Reply:
    rp_id_hash: bytes = inner["rpIDHash"]
    if len(rp_id_hash) != _HASH_LENGTH:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    credentials = token.store.of_rp(rp_id_hash)
    if not credentials:
        raise CtapRejection(CtapStatus.NO_CREDENTIALS)
    _remember(token, Continuation.CREDENTIALS, credentials[1:])
    return {**_credential_members(token, credentials[0]), 0x09: len(credentials)}


def _next_credential(token: TokenContext, _inner: Params) -> Reply:
    return _credential_members(token, _take(token, Continuation.CREDENTIALS))


def _credential_members(token: TokenContext, credential: StoredCredential) -> dict[int, Any]:
    payment = token.profile.extends("thirdPartyPayment")
    members = {
        0x06: _user(credential),
        0x07: {"id": credential.id, "type": "public-key"},
        0x08: token.credentials.key(credential).cose(),
        0x0A: credential.cred_protect.value,
        0x0B: credential.large_blob_key,
        0x0C: credential.third_party_payment if payment else None,
    }
    return {number: value for number, value in members.items() if value is not None}


def _user(credential: StoredCredential) -> dict[str, Any]:
    names = {"name": credential.user_name, "displayName": credential.user_display_name}
    return {"id": credential.user_id} | {k: v for k, v in names.items() if v is not None}


def _remember(token: TokenContext, listing: Continuation, rest: Any) -> None:
    token.enumerations.begin(listing, rest, token.channel, token.authority)


def _take(token: TokenContext, listing: Continuation) -> Any:
    return token.enumerations.take(listing, token.channel, token.tokens.serial())


# --- changes -----------------------------------------------------------------------------------


def _delete(token: TokenContext, inner: Params) -> Reply:
    token.store.delete(_named(token, inner).id)
    return None


def _update_user(token: TokenContext, inner: Params) -> Reply:
    credential, user = _named(token, inner), inner["user"]
    if user["id"] != credential.user_id:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    name, display_name = stored_name(user.get("name")), stored_name(user.get("displayName"))
    token.store.update_user(credential.id, name, display_name)
    return None


def _named(token: TokenContext, inner: Params) -> StoredCredential:
    """The resident credential that the parameters name, if the token may manage its RP."""
    found = token.store.find(CredentialId(inner["credentialID"]["id"]))
    if found is None or not found.discoverable:
        # who may manage one relying party alone does not learn whether others have the credential
        token.tokens.require_unbound()
        raise CtapRejection(CtapStatus.NO_CREDENTIALS)
    token.tokens.require_rp(found.rp_id)
    return found


_SUBCOMMANDS: Final[Mapping[int, _Subcommand]] = MappingProxyType(
    {
        0x01: _Subcommand(_metadata, reads=_for_all_rps),
        0x02: _Subcommand(_first_rp, reads=_for_all_rps),
        0x03: _Subcommand(_next_rp, continues=Continuation.RELYING_PARTIES),
        0x04: _Subcommand(_first_credential, _OF_RP, reads=_for_this_rp),
        0x05: _Subcommand(_next_credential, continues=Continuation.CREDENTIALS),
        0x06: _Subcommand(_delete, _OF_CREDENTIAL),
        0x07: _Subcommand(_update_user, _NEW_USER),
    }
)

_CONTINUES: Final = frozenset({Continuation.RELYING_PARTIES, Continuation.CREDENTIALS})

COMMAND = Command(run, REQUEST, lambda profile: profile.offers("credMgmt"), _CONTINUES)

PREVIEW_COMMAND = Command(
    run, REQUEST, lambda profile: profile.offers("credentialMgmtPreview"), _CONTINUES
)
"""The command under its number of before CTAP 2.1."""
