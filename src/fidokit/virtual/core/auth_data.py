"""Authenticator data, the bytes that a credential signs (WebAuthn section 6.1)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from fidokit import cbor
from fidokit.virtual.core.keys.algorithms import CoseKey

UP = 0x01
UV = 0x04
ATTESTED = 0x40
EXTENSIONS = 0x80

_FLAGS_AND_COUNTER = struct.Struct(">BI")


def build(
    rp_id_hash: bytes,
    flags: int,
    counter: int,
    outputs: Mapping[str, Any],
    attested: bytes = b"",
) -> bytes:
    """rpIdHash (32), flags (1), counter (4), attested credential data, extension outputs.

    Args:
        rp_id_hash: SHA-256 of the RP id.
        flags: UP and UV; the others follow from what is there.
        counter: 0 to 2^32-1.
        outputs: extension outputs; none leaves the map and its flag out (EXT-01).
        attested: from `attested_credential`, or nothing.
    """
    if attested:
        flags |= ATTESTED
    if not outputs:
        return rp_id_hash + _FLAGS_AND_COUNTER.pack(flags, counter) + attested
    head = _FLAGS_AND_COUNTER.pack(flags | EXTENSIONS, counter)
    return rp_id_hash + head + attested + cbor.encode(outputs)


def attested_credential(aaguid: bytes, credential_id: bytes, key: CoseKey) -> bytes:
    """aaguid (16), length (2), credential id, COSE key."""
    return aaguid + len(credential_id).to_bytes(2, "big") + credential_id + cbor.encode(key)
