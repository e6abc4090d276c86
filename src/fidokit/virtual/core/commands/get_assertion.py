"""authenticatorGetAssertion (02) and authenticatorGetNextAssertion (08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fidokit.types import CredProtect, CtapStatus
from fidokit.virtual.core.attestation import statements
from fidokit.virtual.core.commands.make_credential import PUBLIC_KEY
from fidokit.virtual.core.context import Command, Reply, TokenContext
from fidokit.virtual.core.continuation import Continuation
from fidokit.virtual.core.extensions import table as extensions
from fidokit.virtual.core.extensions.extension import Occasion, OutputPlace
from fidokit.virtual.core.keys.credentials import Credential, hash_of_rp
from fidokit.virtual.core.person import consent
from fidokit.virtual.core.person.consent import NO_EVIDENCE, NO_VERIFICATION, VerificationChoice
from fidokit.virtual.core.person.pin_uv_token import TokenPermission
from fidokit.virtual.core.ports import CtapRejection, Steps, StoredCredential
from fidokit.virtual.core.schema import (
    ANYTHING,
    BYTES,
    DESCRIPTOR,
    MAP,
    OPTIONS,
    TEXT,
    UINT,
    ListOf,
    Member,
    Params,
    Record,
)

REQUEST = Record(
    {
        0x01: Member("rpId", TEXT, required=True),
        0x02: Member("clientDataHash", BYTES, required=True),
        0x03: Member("allowList", ListOf(DESCRIPTOR)),
        0x04: Member("extensions", MAP),
        0x05: Member("options", OPTIONS),
        0x06: Member("pinUvAuthParam", BYTES),
        0x07: Member("pinUvAuthProtocol", UINT),
        0x08: Member("enterpriseAttestation", ANYTHING),
        0x09: Member("attestationFormatsPreference", ANYTHING),
    }
)


_BESIDE = {OutputPlace.LARGE_BLOB_KEY: 0x07, OutputPlace.UNSIGNED: 0x08}


class _Plan(NamedTuple):
    """All that an assertion needs but the credential; getNextAssertion goes on with it."""

    rp_id_hash: bytes
    client_data_hash: bytes
    flags: int
    extensions: extensions.Prepared
    several: bool
    token_serial: int | None
    attest: statements.AssertionAttestation

    @property
    def verified(self) -> bool:
        return bool(self.flags & statements.UV)


@dataclass(frozen=True, slots=True)
class _Next:
    """One assertion still to be handed out."""

    plan: _Plan
    credential: Credential


def run(token: TokenContext, params: Params) -> Steps[Reply]:
    """Sign with a credential of the relying party (CTAP 2.3 section 6.2).

    Raises:
        CtapRejection: see GA-02 to GA-19.
    """
    inputs = params.get("extensions", {})
    extensions.check_get(token, inputs)
    statements.check_assertion_form(token, params)
    consent.check_hash(params)
    consent.check_options(token, params)
    if "pinUvAuthParam" in params:
        yield from consent.check_param(token, params)
    up = _wants_presence(token, params.get("options", {}))
    wish = _wish(token, params, up=up)
    attest = statements.assertion_attestation(token, params)
    evidence = NO_EVIDENCE
    if wish.verifies:
        evidence = yield from consent.verify(
            token, params, wish, TokenPermission.GET_ASSERTION, params["rpId"]
        )
    rp_id_hash = hash_of_rp(params["rpId"])
    allowed = params.get("allowList")
    found = _locate(token, rp_id_hash, allowed, verified=evidence.verified)
    behavior = token.profile.behavior
    if up and (found or behavior.touch_before_no_credentials):
        yield from consent.collect_presence(token, evidence)
    if not found:
        raise CtapRejection(CtapStatus.NO_CREDENTIALS)
    verified = evidence.verified or (behavior.uv_flag_under_always_uv and token.state.always_uv)
    flags = (statements.UP if up else 0) | (statements.UV if verified else 0)
    cdh = params["clientDataHash"]
    prepared = extensions.UNASKED
    if inputs:
        occasion = Occasion(inputs, params["rpId"], evidence, cdh, up=up, listed=bool(allowed))
        prepared = extensions.prepare(token, occasion)
    plan = _Plan(
        rp_id_hash,
        cdh,
        flags,
        prepared,
        several=len(found) > 1,
        token_serial=evidence.token_serial,
        attest=attest,
    )
    return _first(token, plan, found)


def _wants_presence(token: TokenContext, options: Mapping[str, bool]) -> bool:
    if "rk" in options:
        raise CtapRejection(token.profile.behavior.rk_in_assertion)
    return options.get("up", True)


def _wish(token: TokenContext, params: Params, *, up: bool) -> VerificationChoice:
    built_in = consent.wants_built_in(token, params)
    by_param = consent.has_param(token, params)
    if up and token.always_uv and not (built_in or by_param):
        built_in = consent.apply_always_uv(token)
    return VerificationChoice(by_param, built_in) if by_param or built_in else NO_VERIFICATION


def _locate(
    token: TokenContext,
    rp_id_hash: bytes,
    allowed: Sequence[Mapping[str, Any]] | None,
    *,
    verified: bool,
) -> Sequence[Credential]:
    if allowed:
        return _listed(token, rp_id_hash, allowed, verified=verified)
    return _discovered(token, rp_id_hash, verified=verified)


def _listed(
    token: TokenContext,
    rp_id_hash: bytes,
    allowed: Sequence[Mapping[str, Any]],
    *,
    verified: bool,
) -> Sequence[Credential]:
    if len(allowed) > token.profile.max_credentials_in_list:
        raise CtapRejection(CtapStatus.LIMIT_EXCEEDED)
    for descriptor in allowed:
        if descriptor["type"] != PUBLIC_KEY:
            continue
        found = token.credentials.find(rp_id_hash, descriptor["id"])
        if found and (verified or found.cred_protect is not CredProtect.UV_REQUIRED):
            return [found]
    return []


def _discovered(token: TokenContext, rp_id_hash: bytes, *, verified: bool) -> Sequence[Credential]:
    if not token.profile.offers("rk"):
        return []
    return [
        credential
        for credential in token.store.of_rp(rp_id_hash)
        if verified or credential.cred_protect is CredProtect.UV_OPTIONAL
    ]


def _first(token: TokenContext, plan: _Plan, found: Sequence[Credential]) -> Reply:
    reply = _assert(token, plan, found[0])
    if plan.several:
        rest = [_Next(plan, credential) for credential in found[1:]]
        token.enumerations.begin(Continuation.ASSERTIONS, rest, token.channel, plan.token_serial)
        reply[5] = len(found)
    return reply


def _assert(token: TokenContext, plan: _Plan, credential: Credential) -> dict[int, Any]:
    outputs = extensions.evaluate(plan.extensions, credential)
    rising = token.next_counter(credential)
    data = statements.authenticator_data(plan.rp_id_hash, plan.flags, rising, outputs.signed)
    key = token.credentials.key(credential)
    signature = key.sign(data + plan.client_data_hash)
    reply = {1: {"id": credential.id, "type": PUBLIC_KEY}, 2: data, 3: signature}
    if plan.attest.statement:
        subject = statements.Subject(credential, key, data, plan.client_data_hash)
        reply |= statements.assertion_members(token, plan.attest, subject)
    user = _user(plan, credential)
    if user:
        reply[4] = user
    return reply | outputs.members(_BESIDE) if outputs.beside else reply


def _user(plan: _Plan, credential: Credential) -> dict[str, Any] | None:
    if not isinstance(credential, StoredCredential) or not credential.user_id:
        return None
    entity = {"id": credential.user_id}
    if plan.verified and plan.several:
        names = {"name": credential.user_name, "displayName": credential.user_display_name}
        return {**entity, **{key: name for key, name in names.items() if name is not None}}
    return entity


def run_next(token: TokenContext, _params: Params) -> Reply:
    """The next older credential of the getAssertion before (CTAP 2.3 section 6.3).

    Raises:
        CtapRejection: NOT_ALLOWED, see GN-02 to GN-04.
    """
    following: _Next = token.enumerations.take(
        Continuation.ASSERTIONS, token.channel, token.tokens.serial()
    )
    return _assert(token, following.plan, following.credential)


COMMAND = Command(run, REQUEST)
NEXT_COMMAND = Command(run_next, continues=frozenset({Continuation.ASSERTIONS}))
