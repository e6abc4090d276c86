"""Attestation of an assertion, which CTAP 2.3 lets a platform ask for (GA-20).

Only on request: a statement singles out the token's batch, or with enterprise attestation the
token, so none is given to whom names no format and is no enterprise. It is a packed one, the only
format here that signs over any authenticator data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fidokit.virtual.core.attestation import enterprise, statements
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.schema import ARRAY, UINT, Member, Params, Record, check

_PREFERENCE: Final = "attestationFormatsPreference"
_FORM = Record(
    {
        enterprise.MEMBER: Member(enterprise.MEMBER, UINT),
        _PREFERENCE: Member(_PREFERENCE, ARRAY),
    }
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the platform gets.

    Args:
        statement: an attestation statement (member 0A).
        enterprise: by the token's own key (member 09).
    """

    statement: bool = False
    enterprise: bool = False


NOTHING = Wish()


def _asks(token: TokenContext, params: Params) -> bool:
    asks = enterprise.MEMBER in params or _PREFERENCE in params
    return asks and token.profile.attests_assertions


def check_form(token: TokenContext, params: Params) -> None:
    """Judge the types of members 08 and 09; older tokens do not look at them.

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE.
    """
    if _asks(token, params):
        check(_FORM, dict(params))


def judge(token: TokenContext, params: Params) -> Wish:
    """Judge their values.

    Raises:
        CtapRejection: as makeCredential for its enterpriseAttestation.
    """
    if not _asks(token, params):
        return NOTHING
    by_enterprise = enterprise.wanted(token.profile, token.state, params, params["rpId"])
    known = [name for name in params.get(_PREFERENCE, ()) if name in ("packed", "none")]
    asked = known[:1] == ["packed"] and "packed" in token.profile.attestation_formats
    return Wish(asked or by_enterprise, by_enterprise)


def members(token: TokenContext, wish: Wish, subject: statements.Subject) -> dict[int, Any]:
    """The members of the reply that a wish for a statement comes to."""
    chosen = statements.ENTERPRISE if wish.enterprise else statements.FORMATS["packed"]
    statement = {0x0A: chosen.make(token, subject)}
    return {0x09: True, **statement} if wish.enterprise else statement
