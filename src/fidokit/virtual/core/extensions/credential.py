"""Extensions that put something into a credential: credProtect, credBlob, largeBlobKey and
thirdPartyPayment (CTAP 2.3 sections 12.1, 12.2, 12.3 and 12.10; CPR-*, CBL-*, LBK-*, TPP-*)."""

from __future__ import annotations

from typing import Final

from fidokit.types import CredProtect, CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.extensions.extension import (
    NOTHING,
    Draft,
    Evaluate,
    Extension,
    Occasion,
    Place,
    always,
)
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.ports import CtapRejection, StoredCredential
from fidokit.virtual.core.schema import BOOL, BYTES, UINT

_LARGE_BLOB_KEY: Final = 32


def _protect(_token: TokenContext, level: int, draft: Draft) -> Evaluate:
    try:
        draft.cred_protect = CredProtect(level)
    except ValueError:
        raise CtapRejection(CtapStatus.INVALID_OPTION) from None
    return always(level)


def _keep_blob(token: TokenContext, blob: bytes, draft: Draft) -> Evaluate:
    """Whether the blob is kept; the credential is made either way."""
    kept = draft.occasion.resident and len(blob) <= token.profile.max_cred_blob
    if kept:
        draft.cred_blob = blob
    return always(kept)


def _tell_blob(_token: TokenContext, wanted: bool, _occasion: Occasion) -> Evaluate:
    return _blob_of if wanted else NOTHING


def _blob_of(credential: Credential) -> bytes:
    return credential.cred_blob if isinstance(credential, StoredCredential) else b""


def _make_key(token: TokenContext, wanted: bool, draft: Draft) -> Evaluate:
    if not (wanted and draft.occasion.resident):
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    draft.large_blob_key = token.rng.bytes(_LARGE_BLOB_KEY)
    return _key_of


def _tell_key(_token: TokenContext, wanted: bool, _occasion: Occasion) -> Evaluate:
    if not wanted:
        raise CtapRejection(CtapStatus.INVALID_OPTION)
    return _key_of


def _key_of(credential: Credential) -> bytes | None:
    return credential.large_blob_key if isinstance(credential, StoredCredential) else None


def _allow_payment(_token: TokenContext, wanted: bool, draft: Draft) -> Evaluate:
    draft.third_party_payment = wanted
    return NOTHING


def _tell_payment(_token: TokenContext, wanted: bool, _occasion: Occasion) -> Evaluate:
    return _allows_payment if wanted else NOTHING


def _allows_payment(credential: Credential) -> bool:
    return credential.third_party_payment


CRED_PROTECT: Final = Extension(make_input=UINT, make=_protect)
CRED_BLOB: Final = Extension(make_input=BYTES, make=_keep_blob, get_input=BOOL, get=_tell_blob)
LARGE_BLOB_KEY: Final = Extension(
    make_input=BOOL, make=_make_key, get_input=BOOL, get=_tell_key, place=Place.LARGE_BLOB_KEY
)
THIRD_PARTY_PAYMENT: Final = Extension(
    make_input=BOOL, make=_allow_payment, get_input=BOOL, get=_tell_payment
)
