"""authenticatorMakeCredential (01), in the order in which faults are judged (MC-37)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from fidokit.types import CoseAlg, CredentialId, CredProtect, CtapStatus, UserId
from fidokit.virtual.core.attestation import certificates, statements
from fidokit.virtual.core.context import Command, Reply, TokenContext
from fidokit.virtual.core.extensions import table
from fidokit.virtual.core.extensions.extension import Draft, Occasion, OutputPlace
from fidokit.virtual.core.keys.credentials import Credential, hash_of_rp
from fidokit.virtual.core.person import consent
from fidokit.virtual.core.person.consent import Evidence, VerificationChoice
from fidokit.virtual.core.person.pin_uv_token import TokenPermission
from fidokit.virtual.core.ports import CtapRejection, Steps, StoredCredential
from fidokit.virtual.core.schema import (
    ARRAY,
    BYTES,
    DESCRIPTOR,
    INT,
    MAP,
    OPTIONS,
    TEXT,
    UINT,
    USER,
    ListOf,
    Member,
    Params,
    Record,
)

PUBLIC_KEY = "public-key"
MAX_USER_ID = 64
MAX_NAME = 64
_RESIDENT_ID_LENGTH = 32
_BESIDE = {OutputPlace.LARGE_BLOB_KEY: 0x05, OutputPlace.UNSIGNED: 0x06}

_RP = Record({"id": Member("id", TEXT, required=True), "name": Member("name", TEXT)})
_ALGORITHM = Record(
    {"type": Member("type", TEXT, required=True), "alg": Member("alg", INT, required=True)}
)

REQUEST = Record(
    {
        0x01: Member("clientDataHash", BYTES, required=True),
        0x02: Member("rp", _RP, required=True),
        0x03: Member("user", USER, required=True),
        0x04: Member("pubKeyCredParams", ListOf(_ALGORITHM), required=True),
        0x05: Member("excludeList", ListOf(DESCRIPTOR)),
        0x06: Member("extensions", MAP),
        0x07: Member("options", OPTIONS),
        0x08: Member("pinUvAuthParam", BYTES),
        0x09: Member("pinUvAuthProtocol", UINT),
        0x0A: Member("enterpriseAttestation", UINT),
        0x0B: Member("attestationFormatsPreference", ARRAY),
    }
)


class _Plan(NamedTuple):
    """What the request comes to, once it is judged."""

    rp_id: str
    rp_id_hash: bytes
    alg: CoseAlg
    resident: bool
    params: Params

    @property
    def extensions(self) -> Mapping[str, Any]:
        inputs: Mapping[str, Any] = self.params.get("extensions", {})
        return inputs


def run(token: TokenContext, params: Params) -> Steps[Reply]:
    """Make a credential (CTAP 2.3 section 6.1).

    Raises:
        CtapRejection: see MC-02 to MC-31.
    """
    table.check_make(token, params.get("extensions", {}))
    _check_entities(params)
    consent.check_options(token, params)
    yield from consent.check_param(token, params)
    plan = _plan(token, params)
    wish = _wish(token, params, plan)
    certificates.enterprise_wanted(token.profile, token.state, params, plan.rp_id)
    evidence = yield from consent.verify(
        token, params, wish, TokenPermission.MAKE_CREDENTIAL, plan.rp_id
    )
    yield from _check_excluded(token, plan, evidence)
    yield from consent.collect_presence(token, evidence)
    return _make(token, plan, evidence)


def _check_entities(params: Params) -> None:
    consent.check_hash(params)
    if not params["rp"]["id"]:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    if len(params["user"]["id"]) > MAX_USER_ID:
        raise CtapRejection(CtapStatus.LIMIT_EXCEEDED)


def _plan(token: TokenContext, params: Params) -> _Plan:
    rp_id: str = params["rp"]["id"]
    alg = _chosen_algorithm(token, params["pubKeyCredParams"])
    resident = _wants_resident(token, params.get("options", {}))
    return _Plan(rp_id, hash_of_rp(rp_id), alg, resident, params)


def _chosen_algorithm(token: TokenContext, wanted: Sequence[Mapping[str, Any]]) -> CoseAlg:
    for element in wanted:
        if element["type"] == PUBLIC_KEY and element["alg"] in token.profile.algorithms:
            return CoseAlg(element["alg"])
    raise CtapRejection(CtapStatus.UNSUPPORTED_ALGORITHM)


def _wants_resident(token: TokenContext, options: Mapping[str, bool]) -> bool:
    up_refused = "up" in options and token.profile.behavior.any_up_option_refused
    if up_refused or not options.get("up", True):
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    if "rk" in options and not token.profile.offers("rk"):
        raise CtapRejection(CtapStatus.UNSUPPORTED_OPTION)
    return options.get("rk", False)


def _wish(token: TokenContext, params: Params, plan: _Plan) -> VerificationChoice:
    built_in = consent.wants_built_in(token, params)
    by_param = consent.has_param(token, params)
    if not (built_in or by_param):
        if token.always_uv:
            built_in = consent.apply_always_uv(token)
        elif token.protected and (plan.resident or not token.make_cred_uv_not_required):
            usable = token.pin_set and token.pin_usable
            raise CtapRejection(CtapStatus.PUAT_REQUIRED if usable else CtapStatus.OPERATION_DENIED)
    return VerificationChoice(by_param, built_in)


def _check_excluded(token: TokenContext, plan: _Plan, evidence: Evidence) -> Steps[None]:
    listed = plan.params.get("excludeList", [])
    if len(listed) > token.profile.max_credentials_in_list:
        raise CtapRejection(CtapStatus.LIMIT_EXCEEDED)
    if any(_excludes(token, plan, evidence, descriptor) for descriptor in listed):
        yield from consent.touched_or_not(token, evidence)
        raise CtapRejection(CtapStatus.CREDENTIAL_EXCLUDED)


def _excludes(
    token: TokenContext, plan: _Plan, evidence: Evidence, descriptor: Mapping[str, Any]
) -> bool:
    if descriptor["type"] != PUBLIC_KEY:
        return False
    found = token.credentials.find(plan.rp_id_hash, descriptor["id"])
    if found is None:
        return False
    return evidence.verified or found.cred_protect is not CredProtect.UV_REQUIRED


def _make(token: TokenContext, plan: _Plan, evidence: Evidence) -> Reply:
    draft = Draft(
        Occasion(
            plan.extensions,
            plan.rp_id,
            evidence,
            plan.params["clientDataHash"],
            resident=plan.resident,
        )
    )
    prepared = table.make(token, draft)
    # a model whose ids are too short to name a key keeps it, as CTAP 2.0 section 5.1 allows
    kept = plan.resident or not token.credentials.fits_id(
        plan.alg, token.profile.max_credential_id_length
    )
    credential = (_store if kept else _wrap)(token, plan, draft)
    outputs = table.evaluate(prepared, credential)
    return _attest(token, plan, evidence, credential, outputs)


def _wrap(token: TokenContext, plan: _Plan, draft: Draft) -> Credential:
    return token.credentials.wrap(
        plan.rp_id_hash,
        plan.alg,
        draft.cred_protect,
        longest=token.profile.max_credential_id_length,
        third_party_payment=draft.third_party_payment,
    )


def _store(token: TokenContext, plan: _Plan, draft: Draft) -> Credential:
    user = plan.params["user"]
    replaced = token.store.of_user(plan.rp_id_hash, user["id"])
    if replaced is None and token.store.count() >= token.profile.max_resident:
        raise CtapRejection(CtapStatus.KEY_STORE_FULL)
    made, secret = _new_key(token, plan, draft)
    credential = StoredCredential(
        id=made,
        rp_id=plan.rp_id,
        rp_id_hash=plan.rp_id_hash,
        user_id=UserId(user["id"]),
        user_name=stored_name(user.get("name")),
        user_display_name=stored_name(user.get("displayName")),
        alg=plan.alg,
        secret=secret,
        cred_protect=draft.cred_protect,
        cred_blob=draft.cred_blob,
        large_blob_key=draft.large_blob_key,
        third_party_payment=draft.third_party_payment,
        large_blob_supported=draft.large_blob_supported,
    )
    token.store.put(credential)
    return credential


def _new_key(token: TokenContext, plan: _Plan, draft: Draft) -> tuple[CredentialId, bytes]:
    """The id and the secret of a resident credential."""
    if token.profile.behavior.deleted_keys_sign:
        wrapped = _wrap(token, plan, draft)
        return wrapped.id, wrapped.secret
    made = CredentialId(token.rng.bytes(_id_length(token)))
    return made, token.credentials.new_secret(plan.alg)


def _id_length(token: TokenContext) -> int:
    return min(_RESIDENT_ID_LENGTH, token.profile.max_credential_id_length)


def stored_name(name: str | None) -> str | None:
    """A name as it is kept: at most 64 bytes, cut between code points; empty is absent (MC-32)."""
    if name is None:
        return None
    return name.encode()[:MAX_NAME].decode(errors="ignore") or None


def _attest(
    token: TokenContext,
    plan: _Plan,
    evidence: Evidence,
    credential: Credential,
    outputs: table.Outputs,
) -> Reply:
    own = certificates.enterprise_wanted(token.profile, token.state, plan.params, plan.rp_id)
    preference = plan.params.get("attestationFormatsPreference", [])
    name = "packed" if own else statements.choose(token, preference, plan.alg)
    chosen = statements.ENTERPRISE if own else statements.FORMATS[name]
    key = token.credentials.key(credential)
    aaguid = token.state.aaguid if chosen.names_model else statements.ZERO_AAGUID
    data = statements.authenticator_data(
        plan.rp_id_hash,
        statements.UP | (statements.UV if evidence.verified else 0),
        token.counter_at_creation(),
        outputs.signed,
        statements.attested_credential(aaguid, credential.id, key.cose()),
    )
    subject = statements.Subject(credential, key, data, plan.params["clientDataHash"])
    reply = {1: name, 2: data, 3: chosen.make(token, subject)} | ({4: True} if own else {})
    return reply | outputs.members(_BESIDE) if outputs.beside else reply


COMMAND = Command(run, REQUEST)
