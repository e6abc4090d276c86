"""hmac-secret and hmac-secret-mc: a secret per credential and salt, when a credential is used and
already when it is made (CTAP 2.3 sections 12.7 and 12.8; HMS-*, HMC-*)."""

from __future__ import annotations

import hmac
from typing import Any, Final

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.extensions.extension import (
    NOTHING,
    Draft,
    Evaluate,
    Extension,
    Occasion,
    always,
)
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.person.pin_protocol import COSE_KEY, PROTOCOLS, SharedSecret, verify
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.schema import BOOL, BYTES, UINT, Member, Params, Record

INPUT = Record(
    {
        1: Member("keyAgreement", COSE_KEY, required=True),
        2: Member("saltEnc", BYTES, required=True),
        3: Member("saltAuth", BYTES, required=True),
        4: Member("pinUvAuthProtocol", UINT),
    }
)

_SALT = 32


def prepare(token: TokenContext, value: Any, occasion: Occasion) -> Evaluate:
    """Open the salts; the result seals the outputs for one credential.

    Raises:
        CtapRejection: UNSUPPORTED_OPTION without a touch, INVALID_PARAMETER for a protocol, key
            or salt that is none, PIN_AUTH_INVALID (by `Behavior.bad_salt_auth`) for a wrong MAC.
    """
    if not occasion.up:
        raise CtapRejection(CtapStatus.UNSUPPORTED_OPTION)
    params = {"pinUvAuthProtocol": 1, **INPUT.named(value)}
    if 4 not in value and 1 not in token.profile.pin_protocols:
        raise CtapRejection(CtapStatus.PIN_AUTH_INVALID)  # saltAuth cannot be one of protocol 1
    protocol = token.tokens.offered_protocol(params)
    secret = token.pin.agreement(protocol).agree(params["keyAgreement"])
    salts = _open_salts(token, protocol, secret, params)

    def seal(credential: Credential) -> bytes:
        key = token.credentials.hmac_secret(credential, verified=occasion.evidence.verified)
        outputs = b"".join(hmac.digest(key, salt, "sha256") for salt in salts)
        return PROTOCOLS[protocol].encrypt(secret, outputs, token.rng)

    return seal


def _open_salts(
    token: TokenContext, protocol: int, secret: SharedSecret, params: Params
) -> list[bytes]:
    sealed = params["saltEnc"]
    if not verify(protocol, secret.mac_key, sealed, params["saltAuth"]):
        raise CtapRejection(token.profile.behavior.bad_salt_auth)
    plain = PROTOCOLS[protocol].decrypt(secret, sealed)
    if plain is None or len(plain) not in (_SALT, 2 * _SALT):
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    return [plain[at : at + _SALT] for at in range(0, len(plain), _SALT)]


def _offer(_token: TokenContext, wanted: bool, _draft: Draft) -> Evaluate:
    return always(True) if wanted else NOTHING


def _evaluate_at_once(token: TokenContext, value: Any, draft: Draft) -> Evaluate:
    if draft.occasion.inputs.get("hmac-secret") is not True:
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)
    return prepare(token, value, draft.occasion)


HMAC_SECRET: Final = Extension(make_input=BOOL, make=_offer, get_input=INPUT, get=prepare)
HMAC_SECRET_MC: Final = Extension(make_input=INPUT, make=_evaluate_at_once)
