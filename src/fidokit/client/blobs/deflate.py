"""DEFLATE for blobs, unpacked to the size that was announced and no further."""

from __future__ import annotations

import zlib
from typing import Final

from fidokit.errors import Malformed, UsageError

LARGEST: Final = 1 << 20
"""Bytes of one blob before compression: what a token stores of a hostile blob, some kilobytes,
could grow a thousandfold otherwise."""
_RAW, _WITH_HEADER = -zlib.MAX_WBITS, zlib.MAX_WBITS


def pack(blob: bytes) -> bytes:
    """Compress a blob (RFC 1951, without zlib's header).

    Raises:
        UsageError: it is larger than 1 MiB.
    """
    if len(blob) > LARGEST:
        raise UsageError(f"a blob has at most {LARGEST} bytes, not {len(blob)}")
    packer = zlib.compressobj(level=9, wbits=_RAW)
    return packer.compress(blob) + packer.flush()


def unpack(packed: bytes, size: int) -> bytes:
    """The blob of exactly `size` bytes, the stream being whole and nothing behind it.

    Raises:
        Malformed: it claims more than 1 MiB, or unpacks to anything else.
    """
    if size > LARGEST:
        raise Malformed(f"the blob claims {size} bytes, and at most {LARGEST} are read")
    # libfido2 before 1.11 left zlib's header and checksum around it
    for form in (_RAW, _WITH_HEADER):
        blob = _inflated(packed, form, size)
        if blob is not None:
            return blob
    raise Malformed(
        f"the blob does not unpack to the {size} bytes that it claims",
        hint="another program wrote it so; `fidokit blob delete` removes it",
    )


def _inflated(packed: bytes, form: int, size: int) -> bytes | None:
    unpacker = zlib.decompressobj(form)
    try:
        blob = unpacker.decompress(packed, size + 1)  # never more memory than announced
    except zlib.error:
        return None
    if len(blob) != size or not unpacker.eof or unpacker.unused_data:
        return None
    return blob
