"""The large-blob array of a token: read in fragments, checked, changed entry by entry, written.

Other programs keep their blobs in the same array: what is not changed goes back byte for byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.client.answer import MISBEHAVIOR_HINT
from fidokit.client.blobs.cbor_items import array_items, array_of
from fidokit.client.commands import LARGE_BLOBS
from fidokit.client.links.channel import FIRST_REQUEST, LONGEST_ANSWER
from fidokit.client.owner.proofs import Permission
from fidokit.errors import StoreFull, TokenMisbehaved, Unsupported

if TYPE_CHECKING:
    from fidokit.client.session import Session

CHECKSUM: Final = 16
"""Bytes of SHA-256 over the array, behind it."""
SHORTEST: Final = 17
LARGEST_ARRAY: Final = 1 << 16
"""Bytes; no token on the market stores a quarter of it."""
LEAST_CAPACITY: Final = 1024
"""What every token with large blobs stores (CTAP 2.3 section 6.4, member 0x0B)."""
OVERHEAD: Final = 64
"""Bytes of a message that are no fragment (CTAP 2.3 section 6.10.1)."""
_PROVED: Final = b"\xff" * 32 + bytes([LARGE_BLOBS, 0])


@dataclass(frozen=True, slots=True)
class BlobArray:
    """The array's entries, encoded as they lie there.

    Args:
        items: each entry's CBOR, whoever wrote it.
        damaged: the checksum did not fit, so that the array counts as empty
            (CTAP 2.3 section 6.10.4: a write was interrupted, or it was never good).
    """

    items: tuple[bytes, ...] = ()
    damaged: bool = False


def parse_array(data: bytes) -> BlobArray:
    """The array behind which its checksum lies: LEFT(SHA-256(array), 16).

    Raises:
        MalformedCbor: the checksum fits, and what it covers is no CBOR array.
    """
    array, checksum = data[:-CHECKSUM], data[-CHECKSUM:]
    if len(data) < SHORTEST or hashlib.sha256(array).digest()[:CHECKSUM] != checksum:
        return BlobArray(damaged=True)
    return BlobArray(tuple(array_items(array)))


def serialize(items: Iterable[bytes]) -> bytes:
    """The array of these encoded entries, and its checksum."""
    array = array_of(list(items))
    return array + hashlib.sha256(array).digest()[:CHECKSUM]


def capacity(session: Session) -> int:
    """How many bytes the serialized array may have.

    Raises:
        Unsupported: the token keeps no large blobs.
    """
    info = session.info
    if not info.has_large_blobs:
        raise Unsupported(
            f"{session.name} keeps no large blobs",
            hint="a token whose `fidokit token info` lists the option largeBlobs is needed",
        )
    return min(info.max_large_blob_array or LEAST_CAPACITY, LARGEST_ARRAY)


def read_array(session: Session) -> BlobArray:
    """The array as the token has it; neither PIN nor touch is needed.

    Raises:
        Unsupported: the token keeps no large blobs.
        TokenMisbehaved: it gives more than it was asked for, or more than it can hold.
        MalformedCbor: what it keeps is no CBOR array.
    """
    limit = capacity(session)
    data = b""
    while True:
        fragment = _fragment(session, len(data))
        data += fragment
        if len(fragment) < _fragment_size(session):
            return parse_array(data)
        if len(data) > limit:
            raise TokenMisbehaved(
                f"{session.name} gives more than the {limit} bytes of large blobs it can keep",
                hint=MISBEHAVIOR_HINT,
            )


def _fragment(session: Session, offset: int) -> bytes:
    size = _fragment_size(session)
    request = {1: size, 3: offset}
    answer = session.request(LARGE_BLOBS, request, "large blobs", why="reading the large blobs")
    return answer.octets(1, longest=size, shortest=0)


def write_array(session: Session, items: Iterable[bytes]) -> None:
    """Replace the array; the token keeps the old one until the last fragment has arrived.

    Raises:
        StoreFull: it is larger than the token takes; nothing was written.
        PinError, Unsupported: as said.
    """
    data = serialize(items)
    limit = capacity(session)
    if len(data) > limit:
        raise StoreFull(
            f"the large blobs would have {len(data)} bytes, and {session.name} keeps {limit}",
            hint="store something smaller, or delete a blob with `fidokit blob delete`",
        )
    size = _fragment_size(session)
    for offset in range(0, len(data), size):
        _send(session, data[offset : offset + size], offset, len(data))


def _send(session: Session, fragment: bytes, offset: int, total: int) -> None:
    why = "writing the large blobs"
    request: dict[int, object] = {2: fragment, 3: offset}
    if offset == 0:
        request[4] = total
    info = session.info
    if info.pin_set or info.uv_configured or info.always_uv:
        proof = session.authorize(Permission.LARGE_BLOB_WRITE, None, why)
        message = _PROVED + offset.to_bytes(4, "little") + hashlib.sha256(fragment).digest()
        request |= {5: proof.authenticate(message), 6: proof.version}
    session.request(LARGE_BLOBS, request, "large blobs", why=why)


def _fragment_size(session: Session) -> int:
    return min(max(session.info.max_msg_size, FIRST_REQUEST), LONGEST_ANSWER) - OVERHEAD
