"""Extensions: a table from identifier to its part in makeCredential and getAssertion (EXT-*), and
those of a few lines: what a credential keeps (credProtect, credBlob, largeBlobKey, largeBlob,
thirdPartyPayment; CTAP 2.3 sections 12.1 to 12.3, 12.9 and 12.10; CPR-*, CBL-*, LBK-*, LBX-*,
TPP-*) and what a relying party is told of the token and its user (minPinLength,
pinComplexityPolicy, uvm; sections 12.4 and 12.5, WebAuthn Level 2 section 10.3; MPL-*, PCP-*,
UVM-*). A model has either largeBlob, or largeBlobs and largeBlobKey (GI-14).

An extension is served exactly when the profile lists it; otherwise its input is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from fidokit.types import CredProtect, CtapStatus
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.extensions import hmac_secret, preview_sign
from fidokit.virtual.core.extensions.extension import (
    NOTHING,
    Beside,
    Draft,
    Evaluate,
    Extension,
    Inputs,
    Occasion,
    OutputPlace,
    always,
)
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.person.consent import Evidence
from fidokit.virtual.core.ports import CtapRejection, DurableState, LargeBlob, StoredCredential
from fidokit.virtual.core.schema import (
    BOOL,
    BYTES,
    FITS,
    TEXT,
    UINT,
    WRONG,
    Kind,
    Member,
    Record,
)

_BLOB_SUPPORT: Final = Record({"support": Member("support", TEXT, required=True)})
_BLOB_ACCESS: Final = Record(
    {
        "read": Member("read", BOOL),
        "write": Member("write", BYTES),
        "originalSize": Member("originalSize", UINT),
    }
)


class _BlobAccess:
    """The input of getAssertion: read, or write with originalSize, and never both."""

    def judge(self, value: Any) -> int:
        """A map of fitting members, of one form; what is written says how long it was."""
        verdict = _BLOB_ACCESS.judge(value)
        if verdict:
            return verdict
        if ("read" in value) is ("write" in value):
            return WRONG
        return WRONG if "write" in value and "originalSize" not in value else FITS


def _support_blob(_token: TokenContext, value: Any, draft: Draft) -> Evaluate:
    wish = value["support"]
    if wish not in ("preferred", "required"):
        return NOTHING  # from a later version of WebAuthn
    if draft.occasion.resident:
        draft.large_blob_supported = True
        return always({"supported": True})
    if wish == "required":  # a wrapped credential has nowhere to keep a blob
        raise CtapRejection(CtapStatus.LARGE_BLOB_STORAGE_FULL)
    return NOTHING


def _access_blob(token: TokenContext, value: Any, occasion: Occasion) -> Evaluate:
    if "write" not in value:
        return _read_blob if value.get("read", False) else NOTHING
    blob = LargeBlob(value["write"], value["originalSize"])
    allowed = (
        occasion.up and occasion.listed and len(blob.data) <= token.profile.max_large_blob_array
    )

    def write(credential: Credential) -> dict[str, Any]:
        able = isinstance(credential, StoredCredential) and credential.large_blob_supported
        return {"written": allowed and able and token.store.update_large_blob(credential.id, blob)}

    return write


def _read_blob(credential: Credential) -> dict[str, Any] | None:
    blob = credential.large_blob if isinstance(credential, StoredCredential) else None
    return None if blob is None else {"blob": blob.data, "originalSize": blob.original_size}


LARGE_BLOB: Final = Extension(
    make_input=_BLOB_SUPPORT,
    make=_support_blob,
    get_input=_BlobAccess(),
    get=_access_blob,
    place=OutputPlace.UNSIGNED,
    misfit=CtapStatus.INVALID_CBOR,
)


_LARGE_BLOB_KEY_LENGTH: Final = 32


def _protect(_token: TokenContext, level: int, draft: Draft) -> Evaluate:
    try:
        draft.cred_protect = CredProtect(level)
    except ValueError:
        raise CtapRejection(CtapStatus.INVALID_OPTION) from None
    return always(level)


def _keep_blob(token: TokenContext, blob: bytes, draft: Draft) -> Evaluate:
    """Whether the blob is kept; the credential is made either way."""
    if not (draft.occasion.resident or token.profile.behavior.blob_for_wrapped):
        return NOTHING
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
    draft.large_blob_key = token.rng.bytes(_LARGE_BLOB_KEY_LENGTH)
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
    make_input=BOOL, make=_make_key, get_input=BOOL, get=_tell_key, place=OutputPlace.LARGE_BLOB_KEY
)
THIRD_PARTY_PAYMENT: Final = Extension(
    make_input=BOOL, make=_allow_payment, get_input=BOOL, get=_tell_payment
)


# FIDO Registry of Predefined Values, sections 3.1 to 3.3
_PRESENCE: Final = 0x001
_FINGERPRINT: Final = 0x002
_EXTERNAL_PIN: Final = 0x800
_IN_SOFTWARE: Final = 0x0001


def _told_to_the_listed(
    tell: Callable[[DurableState], Any],
) -> Callable[[TokenContext, bool, Draft], Evaluate]:
    """A setting that only relying parties on the owner's list may learn."""

    def make(token: TokenContext, wanted: bool, draft: Draft) -> Evaluate:
        listed = draft.occasion.rp_id in token.state.min_pin_rp_ids
        return always(tell(token.state)) if wanted and listed else NOTHING

    return make


def _methods(evidence: Evidence) -> list[list[int]]:
    """One row: how the user was verified, or that nobody was but somebody is there."""
    method = _PRESENCE
    if evidence.verified:
        method = _FINGERPRINT if evidence.by_sensor else _EXTERNAL_PIN
    return [[method, _IN_SOFTWARE, _IN_SOFTWARE]]


def _made_by(_token: TokenContext, wanted: bool, draft: Draft) -> Evaluate:
    return always(_methods(draft.occasion.evidence)) if wanted else NOTHING


def _used_by(_token: TokenContext, wanted: bool, occasion: Occasion) -> Evaluate:
    return always(_methods(occasion.evidence)) if wanted else NOTHING


_told_min_pin_length: Final = _told_to_the_listed(lambda state: state.min_pin_length)


def _tell_min_pin_length(token: TokenContext, wanted: bool, draft: Draft) -> Evaluate:
    status = token.profile.behavior.false_min_pin_length
    if not wanted and status is not None:
        raise CtapRejection(status)
    return _told_min_pin_length(token, wanted, draft)


MIN_PIN_LENGTH: Final = Extension(make_input=BOOL, make=_tell_min_pin_length)
PIN_COMPLEXITY_POLICY: Final = Extension(
    make_input=BOOL, make=_told_to_the_listed(lambda state: state.pin_complexity)
)
UVM: Final = Extension(make_input=BOOL, make=_made_by, get_input=BOOL, get=_used_by)


EXTENSIONS: Mapping[str, Extension] = MappingProxyType(
    {
        "credBlob": CRED_BLOB,
        "credProtect": CRED_PROTECT,
        "hmac-secret": hmac_secret.HMAC_SECRET,
        "hmac-secret-mc": hmac_secret.HMAC_SECRET_MC,
        "largeBlob": LARGE_BLOB,
        "largeBlobKey": LARGE_BLOB_KEY,
        "minPinLength": MIN_PIN_LENGTH,
        "pinComplexityPolicy": PIN_COMPLEXITY_POLICY,
        "previewSign": preview_sign.PREVIEW_SIGN,
        "thirdPartyPayment": THIRD_PARTY_PAYMENT,
        "uvm": UVM,
    }
)

Prepared = Mapping[str, Evaluate]
"""Extensions whose inputs were read, ready for each credential."""


class Outputs(NamedTuple):
    """What the extensions say about one credential.

    Args:
        signed: for the authenticator data.
        beside: for the reply itself, by place.
    """

    signed: Mapping[str, Any]
    beside: Mapping[OutputPlace, Any]

    def members(self, numbers: Mapping[OutputPlace, int]) -> dict[int, Any]:
        """The reply's members for `beside`, under the numbers that the command gives them."""
        return {numbers[place]: value for place, value in self.beside.items()}


UNASKED: Final[Prepared] = MappingProxyType({})
"""No extension was asked for."""

_NONE: Final = Outputs(MappingProxyType({}), MappingProxyType({}))


def _served(token: TokenContext, inputs: Inputs) -> Sequence[str]:
    return [name for name in token.profile.extensions if name in inputs and name in EXTENSIONS]


def check_make(token: TokenContext, inputs: Inputs) -> None:
    """Judge the form of makeCredential's inputs, before anything else of meaning (CBR-13).

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE, MISSING_PARAMETER.
    """
    if not inputs:
        return
    served = [(EXTENSIONS[name], inputs[name]) for name in _served(token, inputs)]
    _check((known.make_input, value, known.misfit) for known, value in served)


def check_get(token: TokenContext, inputs: Inputs) -> None:
    """Judge the form of getAssertion's inputs.

    Raises:
        CtapRejection: CBOR_UNEXPECTED_TYPE, MISSING_PARAMETER.
    """
    if not inputs:
        return
    served = [(EXTENSIONS[name], inputs[name]) for name in _served(token, inputs)]
    _check((known.get_input, value, known.misfit) for known, value in served)


def _check(inputs: Iterable[tuple[Kind | None, Any, CtapStatus]]) -> None:
    verdicts = [(kind.judge(value), misfit) for kind, value, misfit in inputs if kind is not None]
    for verdict, misfit in verdicts:
        if verdict == WRONG or (verdict and misfit is CtapStatus.INVALID_CBOR):
            raise CtapRejection(misfit)
    if any(verdict for verdict, _ in verdicts):
        raise CtapRejection(CtapStatus.MISSING_PARAMETER)


def make(token: TokenContext, draft: Draft) -> Prepared:
    """Run makeCredential's extensions on a draft; `evaluate` says what they answer.

    Raises:
        CtapRejection: as the extension says.
    """
    inputs = draft.occasion.inputs
    if not inputs:
        return UNASKED
    parts = ((name, EXTENSIONS[name].make) for name in _served(token, inputs))
    return {name: part(token, inputs[name], draft) for name, part in parts if part}


def prepare(token: TokenContext, occasion: Occasion) -> Prepared:
    """Read getAssertion's inputs, once for all credentials it may return (GN-05).

    Raises:
        CtapRejection: as the extension says.
    """
    inputs = occasion.inputs
    parts = ((name, EXTENSIONS[name].get) for name in _served(token, inputs))
    return {name: part(token, inputs[name], occasion) for name, part in parts if part}


def evaluate(prepared: Prepared, credential: Credential) -> Outputs:
    """The outputs for one credential.

    Raises:
        CtapRejection: as the extension says.
    """
    if not prepared:
        return _NONE
    outputs = {name: say(credential) for name, say in prepared.items()}
    placed: dict[OutputPlace, dict[str, Any]] = {place: {} for place in OutputPlace}
    for name, output in outputs.items():
        for place, value in _placed(name, output):
            placed[place][name] = value
    beside = {
        OutputPlace.UNSIGNED: placed[OutputPlace.UNSIGNED],
        OutputPlace.LARGE_BLOB_KEY: placed[OutputPlace.LARGE_BLOB_KEY].get("largeBlobKey"),
    }
    return Outputs(
        placed[OutputPlace.SIGNED], {place: value for place, value in beside.items() if value}
    )


def _placed(name: str, output: Any) -> Sequence[tuple[OutputPlace, Any]]:
    if output is None:
        return ()
    if isinstance(output, Beside):
        return ((OutputPlace.SIGNED, output.signed), (OutputPlace.UNSIGNED, output.unsigned))
    return ((EXTENSIONS[name].place, output),)
