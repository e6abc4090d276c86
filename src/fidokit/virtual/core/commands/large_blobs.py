"""authenticatorLargeBlobs (0C): one array of bytes for all platforms (CTAP 2.3 section 6.10; LB-*).

Its parts are sealed by the platform, under each credential's largeBlobKey; the token sees no more
than the checksum at the end.
"""

from __future__ import annotations

import hashlib
from typing import Final

from fidokit.types import CtapStatus
from fidokit.virtual.core.context import Command, Reply, TokenContext
from fidokit.virtual.core.continuation import Continuation, Upload
from fidokit.virtual.core.person.pin_uv_token import TokenPermission
from fidokit.virtual.core.ports import INITIAL_LARGE_BLOB_ARRAY, CtapRejection
from fidokit.virtual.core.schema import BYTES, UINT, Member, Params, Record

_CHECKSUM: Final = 16
_SHORTEST: Final = len(INITIAL_LARGE_BLOB_ARRAY)
_FRAMING: Final = 64
_MESSAGE_HEAD: Final = b"\xff" * 32 + b"\x0c\x00"
_ONLY_FOR_SET: Final = ("length", "pinUvAuthParam", "pinUvAuthProtocol")

REQUEST = Record(
    {
        0x01: Member("get", UINT),
        0x02: Member("set", BYTES),
        0x03: Member("offset", UINT),
        0x04: Member("length", UINT),
        0x05: Member("pinUvAuthParam", BYTES),
        0x06: Member("pinUvAuthProtocol", UINT),
    }
)


def run(token: TokenContext, params: Params) -> Reply:
    """Give or take a fragment of the array.

    Raises:
        CtapRejection: see LB-01 to LB-07.
    """
    if "offset" not in params or ("get" in params) is ("set" in params):
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    return _get(token, params) if "get" in params else _set(token, params)


def _require_fragment(token: TokenContext, size: int) -> None:
    if size > token.profile.max_msg_size - _FRAMING:
        raise CtapRejection(CtapStatus.INVALID_LENGTH)


def _get(token: TokenContext, params: Params) -> Reply:
    array, offset, size = token.state.large_blob_array, params["offset"], params["get"]
    if any(name in params for name in _ONLY_FOR_SET):
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    _require_fragment(token, size)
    if offset > len(array):
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    return {0x01: array[offset : offset + size]}


def _set(token: TokenContext, params: Params) -> Reply:
    """Nothing is kept of a fragment that is refused: the upload goes on if it was."""
    offset, fragment = params["offset"], params["set"]
    _require_fragment(token, len(fragment))
    upload = _continued(token, params) if offset else _begun(token, params)
    _authorize(token, params)
    data = upload.data + fragment
    if len(data) > upload.length:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    if len(data) < upload.length:
        token.uploads.keep(upload._replace(data=data))
    else:
        token.uploads.drop()
        _replace_array(token, data)
    return None


def _begun(token: TokenContext, params: Params) -> Upload:
    length = params.get("length", 0)
    if length < _SHORTEST:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    if length > token.profile.max_large_blob_array:
        raise CtapRejection(CtapStatus.LARGE_BLOB_STORAGE_FULL)
    return Upload(length, token.channel)


def _continued(token: TokenContext, params: Params) -> Upload:
    if "length" in params:
        raise CtapRejection(CtapStatus.INVALID_PARAMETER)
    upload = token.uploads.due(token.channel, params["offset"])
    if upload is None:
        raise CtapRejection(CtapStatus.INVALID_SEQ)
    return upload


def _authorize(token: TokenContext, params: Params) -> None:
    if not (token.protected or token.always_uv):
        return
    offset = params["offset"].to_bytes(4, "little")
    message = _MESSAGE_HEAD + offset + hashlib.sha256(params["set"]).digest()
    token.tokens.demand(params, message, TokenPermission.LARGE_BLOB_WRITE)


def _replace_array(token: TokenContext, array: bytes) -> None:
    blobs, checksum = array[:-_CHECKSUM], array[-_CHECKSUM:]
    if hashlib.sha256(blobs).digest()[:_CHECKSUM] != checksum:
        raise CtapRejection(CtapStatus.INTEGRITY_FAILURE)
    token.save(large_blob_array=array)


COMMAND = Command(
    run, REQUEST, lambda profile: profile.offers("largeBlobs"), frozenset({Continuation.FRAGMENTS})
)
