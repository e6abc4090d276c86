"""The largeBlob extension: a blob kept with each credential, told beside what is signed
(CTAP 2.3 section 12.9; LBX-*). A model has either this, or largeBlobs and largeBlobKey (GI-14)."""

from __future__ import annotations

from typing import Any, Final

from fidokit.types import CtapStatus
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
from fidokit.virtual.core.ports import CtapRejection, LargeBlob, StoredCredential
from fidokit.virtual.core.schema import (
    BOOL,
    BYTES,
    FITS,
    LACKS,
    TEXT,
    UINT,
    WRONG,
    Member,
    Record,
)

_SUPPORT: Final = Record({"support": Member("support", TEXT, required=True)})
_ACCESS: Final = Record(
    {
        "read": Member("read", BOOL),
        "write": Member("write", BYTES),
        "originalSize": Member("originalSize", UINT),
    }
)


class _Access:
    """The input of getAssertion: read, or write with originalSize, and never both."""

    def judge(self, value: Any) -> int:
        """A map of fitting members; what is written says how long it was."""
        verdict = _ACCESS.judge(value)
        if verdict:
            return verdict
        if "read" in value and "write" in value:
            return WRONG
        return LACKS if "write" in value and "originalSize" not in value else FITS


def _support(_token: TokenContext, value: Any, draft: Draft) -> Evaluate:
    wish = value["support"]
    if wish not in ("preferred", "required"):
        return NOTHING  # from a later version of WebAuthn
    if draft.occasion.resident:
        draft.large_blob_supported = True
        return always({"supported": True})
    if wish == "required":  # a wrapped credential has nowhere to keep a blob
        raise CtapRejection(CtapStatus.LARGE_BLOB_STORAGE_FULL)
    return NOTHING


def _access(token: TokenContext, value: Any, occasion: Occasion) -> Evaluate:
    if "write" not in value:
        return _read if value.get("read", False) else NOTHING
    blob = LargeBlob(value["write"], value["originalSize"])
    allowed = (
        occasion.up and occasion.listed and len(blob.data) <= token.profile.max_large_blob_array
    )

    def write(credential: Credential) -> dict[str, Any]:
        able = isinstance(credential, StoredCredential) and credential.large_blob_supported
        return {"written": allowed and able and token.store.update_large_blob(credential.id, blob)}

    return write


def _read(credential: Credential) -> dict[str, Any] | None:
    blob = credential.large_blob if isinstance(credential, StoredCredential) else None
    return None if blob is None else {"blob": blob.data, "originalSize": blob.original_size}


LARGE_BLOB: Final = Extension(
    make_input=_SUPPORT,
    make=_support,
    get_input=_Access(),
    get=_access,
    place=Place.UNSIGNED,
    misfit=CtapStatus.INVALID_CBOR,
)
