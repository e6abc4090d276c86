"""Blobs that belong to resident keys: list, get, set, delete, under each key's largeBlobKey."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.errors import NotStored, Unsupported
from fidokit.token.authorisation import Permission
from fidokit.token.blob_array import BlobArray, capacity, read_array, serialise, write_array
from fidokit.token.blob_entry import BlobEntry, Random, read_entry, seal

if TYPE_CHECKING:
    from fidokit.token.resident import ResidentCredential
    from fidokit.token.session import Session


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One blob that a key of this token opens.

    Args:
        credential: the key it belongs to.
        size: bytes of the blob, as the array says.
        stored: bytes that it takes in the array.
    """

    credential: ResidentCredential
    size: int
    stored: int


@dataclass(frozen=True, slots=True)
class BlobListing:
    """What the array of a token holds.

    Args:
        blobs: those that the given keys open.
        others: how many entries none of them opens: other applications', or of deleted keys.
        used, capacity: bytes of the serialised array, now and at most.
        damaged: whether the array's checksum was wrong, so that it counts as empty.
    """

    blobs: tuple[StoredBlob, ...]
    others: int
    used: int
    capacity: int
    damaged: bool


def require(session: Session) -> None:
    """Check, at no cost, that the token keeps large blobs. Raises Unsupported where not."""
    capacity(session)


def authorise_change(session: Session) -> None:
    """Ask once for all that changing a blob takes: listing the keys, and writing.

    Raises:
        Unsupported: the token keeps no large blobs.
        PinNotSet, PinError: as `authorisation.obtain`.
    """
    require(session)
    both = Permission.CREDENTIAL_MANAGEMENT | Permission.LARGE_BLOB_WRITE
    session.authorise(both, None, "changing the large blobs")


def list_blobs(session: Session, credentials: Sequence[ResidentCredential]) -> BlobListing:
    """The blobs of these keys, and how much else there is.

    Raises:
        Unsupported: the token keeps no large blobs.
        MalformedCbor: the array is none.
    """
    array = read_array(session)
    found = [_owner(item, credentials) for item in array.items]
    return BlobListing(
        blobs=tuple(stored for stored in found if stored is not None),
        others=found.count(None),
        used=len(serialise(array.items)),
        capacity=capacity(session),
        damaged=array.damaged,
    )


def _owner(item: bytes, credentials: Sequence[ResidentCredential]) -> StoredBlob | None:
    entry = read_entry(item)
    for credential in credentials if entry else ():
        key = credential.large_blob_key
        if entry and key and entry.fits(key):
            return StoredBlob(credential, entry.size, len(item))
    return None


def get(session: Session, credential: ResidentCredential) -> bytes:
    """The blob of a key.

    Raises:
        NotStored: there is none.
        Unsupported: the key can have none, or the token keeps none.
        Malformed: it does not unpack.
    """
    key = large_blob_key(session, credential)
    for entry in _entries(read_array(session)):
        blob = entry.open(key)
        if blob is not None:
            return blob
    raise _none(session, credential)


def put(
    session: Session, credential: ResidentCredential, blob: bytes, random: Random = os.urandom
) -> None:
    """Store a blob for a key, in the place of the one it had.

    Args:
        blob: at most 1 MiB; what counts is its size when compressed.
        random: gives so many random bytes, for the nonce.

    Raises:
        StoreFull: it does not fit; nothing was changed.
        Unsupported: the key can have none, or the token keeps none.
        UsageError: it is larger than 1 MiB.
    """
    key = large_blob_key(session, credential)
    entry = seal(blob, key, random).encode()
    items = [item for item in read_array(session).items if not _fits(item, key)]
    write_array(session, [*items, entry])


def delete(session: Session, credentials: Sequence[ResidentCredential]) -> None:
    """Remove the blobs of these keys, in one write.

    Raises:
        NotStored: one of them has none; nothing was changed.
        Unsupported: a key can have none, or the token keeps none.
    """
    items = read_array(session).items
    for credential in credentials:
        key = large_blob_key(session, credential)
        left = tuple(item for item in items if not _fits(item, key))
        if len(left) == len(items):
            raise _none(session, credential)
        items = left
    write_array(session, items)


def delete_orphans(session: Session, credentials: Sequence[ResidentCredential]) -> int:
    """Remove the entries that no key of the token opens any more; returns how many there were.

    An entry of a form that is not known here is left alone (CTAP 2.3 section 6.10.5).

    Args:
        credentials: every resident credential of the token, websites' too.
    """
    items = read_array(session).items
    left = [i for i in items if read_entry(i) is None or _owner(i, credentials) is not None]
    if len(left) != len(items):
        write_array(session, left)
    return len(items) - len(left)


def delete_all(session: Session) -> None:
    """Empty the array, whatever is in it."""
    require(session)
    write_array(session, ())


def large_blob_key(session: Session, credential: ResidentCredential) -> bytes:
    """The key under which a credential's blob is sealed, 32 bytes.

    Raises:
        Unsupported: the token keeps no large blobs, or the credential was made without a key.
    """
    require(session)
    if credential.large_blob_key is None:
        raise Unsupported(
            f"the key for {credential.application!r} can have no blob",
            hint="only a resident key made with `fidokit key generate --large-blob` can",
        )
    return credential.large_blob_key


def _entries(array: BlobArray) -> Iterator[BlobEntry]:
    for item in array.items:
        entry = read_entry(item)
        if entry is not None:
            yield entry


def _fits(item: bytes, key: bytes) -> bool:
    entry = read_entry(item)
    return entry is not None and entry.fits(key)


def _none(session: Session, credential: ResidentCredential) -> NotStored:
    return NotStored(
        f"{session.name} holds no blob for the key of {credential.application!r}",
        hint="`fidokit blob list` shows which keys have one",
    )
