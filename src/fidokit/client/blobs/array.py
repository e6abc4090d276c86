"""The large-blob array of a token: read in fragments, checked, changed entry by entry, written.

Other programs keep their blobs in the same array. What those wrote may be of a later CTAP, or not
canonical: foreign items are not decoded, and go back byte for byte.

An entry of ours is the map {1: sealed bytes and their tag, 2: nonce (12 bytes), 3: size before
compression}; AES-256-GCM with the associated data "blob" and that size as 8 bytes, little-endian,
over raw DEFLATE (RFC 1951). Source: CTAP 2.3 section 6.10.3.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from fidokit.client import fido2_device
from fidokit.client.answer import MISBEHAVIOR_HINT, Answer
from fidokit.client.links.channel import FIRST_REQUEST, LONGEST_ANSWER, checked
from fidokit.client.owner.proofs import Permission, PinToken, Wish
from fidokit.client.status import CtapRefusal, error_for
from fidokit.client.tolerance import Notes
from fidokit.errors import (
    Malformed,
    MalformedCbor,
    StoreFull,
    TokenMisbehaved,
    Unsupported,
    UsageError,
)
from fidokit.types import CtapCommand

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
"""Bytes of a message that are not a fragment (CTAP 2.3 section 6.10.1)."""
_PROVED: Final = b"\xff" * 32 + bytes([CtapCommand.LARGE_BLOBS, 0])


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
        MalformedCbor: the checksum fits, and what it covers is not a CBOR array.
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
        MalformedCbor: what it keeps is not a CBOR array.
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
    answer = session.connection.request(
        CtapCommand.LARGE_BLOBS, request, "large blobs", why="reading the large blobs"
    )
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
    message = _PROVED + offset.to_bytes(4, "little") + hashlib.sha256(fragment).digest()

    def send(proof: PinToken | None) -> None:
        shown = {5: proof.authenticate(message), 6: proof.version} if proof else {}
        session.connection.attempt(CtapCommand.LARGE_BLOBS, request | shown, "large blobs", why=why)

    info = session.info
    try:
        if info.pin_set or info.uv_configured or info.always_uv:
            session.owner.proved(Wish(Permission.LARGE_BLOB_WRITE, None, why), send)
        else:
            send(None)
    except CtapRefusal as refusal:
        raise error_for(refusal.status, why) from None


def _fragment_size(session: Session) -> int:
    return min(max(session.info.max_msg_size, FIRST_REQUEST), LONGEST_ANSWER) - OVERHEAD


# --- one entry: compressed, then sealed under a credential's largeBlobKey --------------------


NONCE: Final = 12
TAG: Final = 16
_LONGEST_SEALED: Final = 1 << 16

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A sealed blob as it lies in the array.

    Args:
        sealed: the compressed blob under AES-256-GCM, and its tag of 16 bytes.
        nonce: 12 bytes.
        size: bytes of the blob before compression, as the array says.
    """

    sealed: bytes
    nonce: bytes
    size: int

    def encode(self) -> bytes:
        """The canonical CBOR of the entry."""
        return fido2_device.encode({1: self.sealed, 2: self.nonce, 3: self.size})

    def fits(self, key: bytes) -> bool:
        """Whether this was sealed under `key`, 32 bytes."""
        return self._unsealed(key) is not None

    def open(self, key: bytes) -> bytes | None:
        """The blob, or None if it was sealed under another key.

        Raises:
            Malformed: it is larger than we read, or does not unpack to the size it claims.
        """
        compressed = self._unsealed(key)
        if compressed is None:
            return None
        return unpack(compressed, self.size)

    def _unsealed(self, key: bytes) -> bytes | None:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            return AESGCM(key).decrypt(self.nonce, self.sealed, _associated(self.size))
        except InvalidTag:
            return None


def read_entry(raw: bytes) -> BlobEntry | None:
    """The entry that `raw` encodes; None for anything else, which is left alone."""
    untidy = Notes()
    try:
        answer = Answer.of(checked(raw, "large blob", untidy), "large blob")
        if untidy.names:  # what we rewrote might not be what its program wrote
            return None
        sealed = answer.octets(1, longest=_LONGEST_SEALED, shortest=TAG)
        return BlobEntry(sealed, answer.exactly(2, NONCE), answer.uint(3))
    except TokenMisbehaved:
        return None


def seal(blob: bytes, key: bytes, random: Random) -> BlobEntry:
    """Compress and seal a blob.

    Args:
        blob: at most 1 MiB.
        key: the credential's largeBlobKey, 32 bytes.
        random: gives so many random bytes, for the nonce.

    Raises:
        UsageError: the blob is larger than that.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    compressed = pack(blob)
    nonce = random(NONCE)
    sealed = AESGCM(key).encrypt(nonce, compressed, _associated(len(blob)))
    return BlobEntry(sealed, nonce, len(blob))


def _associated(size: int) -> bytes:
    return b"blob" + size.to_bytes(8, "little")


# --- DEFLATE, unpacked to the size that was announced and no further -------------------------


LARGEST_BLOB: Final = 1 << 20
"""Bytes of one blob before compression: what a token stores of a hostile blob, some kilobytes,
could grow a thousandfold otherwise."""
_RAW, _WITH_HEADER = -zlib.MAX_WBITS, zlib.MAX_WBITS


def pack(blob: bytes) -> bytes:
    """Compress a blob (RFC 1951, without zlib's header).

    Raises:
        UsageError: it is larger than 1 MiB.
    """
    if len(blob) > LARGEST_BLOB:
        raise UsageError(f"a blob has at most {LARGEST_BLOB} bytes, not {len(blob)}")
    packer = zlib.compressobj(level=9, wbits=_RAW)
    return packer.compress(blob) + packer.flush()


def unpack(packed: bytes, size: int) -> bytes:
    """The blob of exactly `size` bytes, the stream being whole and nothing behind it.

    Raises:
        Malformed: it claims more than 1 MiB, or unpacks to anything else.
    """
    if size > LARGEST_BLOB:
        raise Malformed(f"the blob claims {size} bytes, and at most {LARGEST_BLOB} are read")
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


# --- where each item of the array begins and ends, whatever it is ----------------------------


DEEPEST: Final = 16
"""Levels of nesting inside an item; CTAP itself allows 4."""
_ARRAY, _MAP, _TAG = 4, 5, 6
_INDEFINITE: Final = 31
_BREAK: Final = b"\xff"
_CHUNKED: Final = (2, 3)
"""Major types whose indefinite form is a row of chunks: byte string and text."""
_ITEMS_PER_ENTRY: Final = {_ARRAY: 1, _MAP: 2}


def array_items(data: bytes) -> list[bytes]:
    """The encoded items of the one array that `data` is, each as it stands there (RFC 8949).

    Args:
        data: at most what a token stores, some kilobytes.

    Raises:
        MalformedCbor: it is not an array of well-formed items, or bytes follow it.
    """
    major, count, at = _head(data, 0)
    if major != _ARRAY:
        _fail("something else than an array", 0)
    items: list[bytes] = []
    while len(items) != count:
        if count is None and data[at : at + 1] == _BREAK:
            at += 1
            break
        end = _skip(data, at, DEEPEST)
        items.append(data[at:end])
        at = end
    if at != len(data):
        _fail(f"{len(data) - at} bytes behind the array", at)
    return items


def array_of(items: list[bytes]) -> bytes:
    """The array of these encoded items, its head in the shortest form; fewer than 65536 of them."""
    return _array_head(len(items)) + b"".join(items)


def _array_head(count: int) -> bytes:
    if count < 24:
        return bytes([_ARRAY << 5 | count])
    if count < 0x100:
        return bytes([_ARRAY << 5 | 24, count])
    return bytes([_ARRAY << 5 | 25]) + count.to_bytes(2, "big")


def _head(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Major type, argument (None: indefinite), and the offset behind the head at `at`."""
    if at >= len(data):
        _fail("the data ends where an item should begin", at)
    major, info = data[at] >> 5, data[at] & 0x1F
    if info < 24:
        return major, info, at + 1
    if info == _INDEFINITE:
        return major, None, at + 1
    if info > 27:
        _fail("a reserved length", at)
    end = at + 1 + (1 << info - 24)
    if end > len(data):
        _fail("a head that is cut short", at)
    return major, int.from_bytes(data[at + 1 : end], "big"), end


def _skip(data: bytes, at: int, depth: int) -> int:
    """The offset behind the item at `at`; `depth` levels may still open."""
    major, argument, start = _head(data, at)
    if argument is None:
        return _skip_indefinite(data, start, major, depth)
    if major in _CHUNKED:
        if start + argument > len(data):
            _fail(f"a string of {argument} bytes has only {len(data) - start}", at)
        return start + argument
    if major == _TAG:
        return _skip_many(data, start, 1, depth)
    return _skip_many(data, start, argument * _ITEMS_PER_ENTRY.get(major, 0), depth)


def _skip_many(data: bytes, at: int, count: int, depth: int) -> int:
    if count and depth == 0:
        _fail("items nested too deep", at)
    if count > len(data) - at:
        _fail(f"{count} items announced in {len(data) - at} bytes", at)
    for _ in range(count):
        at = _skip(data, at, depth - 1)
    return at


def _skip_indefinite(data: bytes, at: int, major: int, depth: int) -> int:
    """The offset behind the break that ends an indefinite string, array or map."""
    if major not in (*_CHUNKED, *_ITEMS_PER_ENTRY):
        _fail("an indefinite length if none can be", at - 1)
    if depth == 0:
        _fail("items nested too deep", at)
    count = 0
    while data[at : at + 1] != _BREAK:
        if major in _CHUNKED and (at >= len(data) or data[at] >> 5 != major):
            _fail("a chunk of another type", at)
        at = _skip(data, at, 0 if major in _CHUNKED else depth - 1)
        count += 1
    if major == _MAP and count % 2:
        _fail("a map with a key and no value", at)
    return at + 1


def _fail(what: str, at: int) -> NoReturn:
    raise MalformedCbor(
        f"the large-blob array holds {what} at offset {at}",
        hint="another program wrote it; `fidokit blob delete --all` empties it",
    )
