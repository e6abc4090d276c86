"""Blobs that belong to resident keys: list, get, set, delete, however the token keeps them.

Most tokens keep one array for all (`array`), each blob sealed under its credential's
largeBlobKey; tokens with the largeBlob extension of CTAP 2.3 keep each with its credential.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.client.blobs import credential_blobs
from fidokit.client.blobs.array import (
    BlobArray,
    BlobEntry,
    Random,
    capacity,
    read_array,
    read_entry,
    seal,
    serialize,
    write_array,
)
from fidokit.client.blobs.credential_blobs import BlobOwner, kept_with_credentials
from fidokit.client.owner.asked_once import pin_at_hand
from fidokit.client.owner.proofs import Permission
from fidokit.client.tolerance import BLOB_KEY_UNLISTED
from fidokit.errors import (
    FidokitError,
    Malformed,
    NotStored,
    TokenGone,
    TokenSilent,
    Unsupported,
)

if TYPE_CHECKING:
    from fidokit.client.credentials.resident import ResidentCredential
    from fidokit.client.session import Session
    from fidokit.types import CredentialId

_READING = "reading the blob"
_WRITING = "changing the blob"


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """One blob that a key of this token opens.

    Args:
        credential: the key it belongs to.
        size: bytes of the blob.
        stored: bytes that it takes in the array; None if the token does not tell.
    """

    credential: ResidentCredential
    size: int
    stored: int | None


@dataclass(frozen=True, slots=True)
class BlobListing:
    """What a token holds.

    Args:
        blobs: those that belong to the given keys.
        others: how many entries none of these keys opens: other applications', or of keys that
            were deleted.
        used, capacity: bytes of the serialized array, now and at most; None without an array.
        damaged: whether the array's checksum was wrong, so that it counts as empty.
    """

    blobs: tuple[StoredBlob, ...]
    others: int = 0
    used: int | None = None
    capacity: int | None = None
    damaged: bool = False


def require(session: Session) -> None:
    """Check, at no cost, that the token keeps blobs at all.

    Raises:
        Unsupported: it does not.
    """
    if not kept_with_credentials(session.info):
        capacity(session)


def authorize_change(session: Session) -> None:
    """Ask once for all that changing the array takes: listing the keys, and writing.

    Raises:
        Unsupported: the token keeps no large blobs.
        PinNotSet, PinError: as `proofs.obtain`.
    """
    require(session)
    if not kept_with_credentials(session.info) and session.info.has_cred_mgmt:
        both = Permission.CREDENTIAL_MANAGEMENT | Permission.LARGE_BLOB_WRITE
        session.owner.authorize(both, None, _WRITING)


def list_blobs(session: Session, credentials: Sequence[ResidentCredential]) -> BlobListing:
    """The blobs of these keys, and how much else there is.

    Raises:
        Unsupported: the token keeps no large blobs.
        MalformedCbor: the array is none.
    """
    if kept_with_credentials(session.info):
        return BlobListing(tuple(_beside(session, credentials)))
    array = read_array(session)
    found = [_owned(item, credentials) for item in array.items]
    return BlobListing(
        blobs=tuple(stored for stored in found if stored is not None),
        others=found.count(None),
        used=len(serialize(array.items)),
        capacity=capacity(session),
        damaged=array.damaged,
    )


def _beside(session: Session, credentials: Sequence[ResidentCredential]) -> Iterator[StoredBlob]:
    for credential in credentials:
        blob = credential_blobs.read(session, credential, _READING)
        if blob is not None:
            yield StoredBlob(credential, len(blob), None)


def _owned(item: bytes, credentials: Sequence[ResidentCredential]) -> StoredBlob | None:
    entry = read_entry(item)
    for credential in credentials if entry else ():
        key = credential.large_blob_key
        if entry and key and entry.fits(key):
            return StoredBlob(credential, entry.size, len(item))
    return None


def at_no_cost(
    session: Session, credentials: Sequence[ResidentCredential]
) -> Iterator[tuple[CredentialId, bytes | FidokitError]]:
    """The blobs of these keys that can be had without a touch and without another PIN.

    One that cannot be read comes with why, and hides none of the others. A token that keeps no
    blobs has none.

    Raises:
        MalformedCbor, TokenMisbehaved: the array as a whole is none.
    """
    if kept_with_credentials(session.info):
        yield from _free_beside(session, credentials)
        return
    owners = [(one.credential_id, one.large_blob_key) for one in credentials if one.large_blob_key]
    if not (owners and session.info.has_large_blobs):
        return
    for entry in _entries(read_array(session)):
        for credential_id, key in owners:
            if key and entry.fits(key):
                try:
                    blob = entry.open(key)
                except Malformed as error:
                    yield credential_id, error
                else:
                    yield credential_id, blob or b""


def _free_beside(
    session: Session, credentials: Sequence[ResidentCredential]
) -> Iterator[tuple[CredentialId, bytes | FidokitError]]:
    """Of keys that each use of wants the PIN for, only where that was given for the list already.

    One RP after the other, since the proof for one is lost with that for the next.
    """
    known = pin_at_hand(session)
    for credential in sorted(credentials, key=lambda one: (one.verify_required, one.application)):
        if credential.verify_required and not known:
            continue
        try:
            blob = credential_blobs.read(session, credential, _READING)
        except (TokenGone, TokenSilent):
            raise
        except FidokitError as error:
            yield credential.credential_id, error
        else:
            if blob is not None:
                yield credential.credential_id, blob


def get(session: Session, owner: BlobOwner) -> bytes:
    """The blob of a key.

    Raises:
        NotStored: there is none.
        Unsupported: the key can have none, or the token keeps none.
        Malformed: it does not unpack.
    """
    require(session)
    if kept_with_credentials(session.info):
        blob = credential_blobs.read(session, owner, _READING)
    else:
        blob = _from_array(session, owner)
    if blob is None:
        raise _none(session, owner)
    return blob


def _from_array(session: Session, owner: BlobOwner) -> bytes | None:
    key = large_blob_key(session, owner)
    opened = (entry.open(key) for entry in _entries(read_array(session)))
    return next((blob for blob in opened if blob is not None), None)


def put(session: Session, owner: BlobOwner, blob: bytes, random: Random = os.urandom) -> None:
    """Store a blob for a key, in the place of the one it had.

    Args:
        blob: at most 1 MiB; what counts is its size when compressed.
        random: gives so many random bytes, for the nonce.

    Raises:
        StoreFull: it does not fit; nothing was changed.
        Unsupported: the key can have none, or the token keeps none.
        UsageError: it is larger than 1 MiB.
    """
    require(session)
    if kept_with_credentials(session.info):
        credential_blobs.write(session, owner, blob, _WRITING)
        return
    key = large_blob_key(session, owner)
    entry = seal(blob, key, random).encode()
    items = [item for item in read_array(session).items if not _fits(item, key)]
    write_array(session, [*items, entry])


def delete(session: Session, owners: Sequence[BlobOwner]) -> None:
    """Remove the blobs of these keys, from an array in one write.

    Raises:
        NotStored: one of them has none; nothing was changed.
        Unsupported: a key can have none, or the token keeps none.
    """
    require(session)
    if kept_with_credentials(session.info):
        for owner in owners:
            get(session, owner)
        for owner in owners:
            credential_blobs.write(session, owner, None, _WRITING)
        return
    items = read_array(session).items
    for owner in owners:
        key = large_blob_key(session, owner)
        left = tuple(item for item in items if not _fits(item, key))
        if len(left) == len(items):
            raise _none(session, owner)
        items = left
    write_array(session, items)


def delete_orphans(session: Session, credentials: Sequence[ResidentCredential]) -> int:
    """Remove the entries that no key of the token opens any more; returns how many there were.

    An entry of a form that is not known here is left alone.

    Args:
        credentials: every resident credential of the token, websites' too.

    Raises:
        Unsupported: the token keeps no array; a blob then goes with its credential.
    """
    items = read_array(session).items
    left = [i for i in items if read_entry(i) is None or _owned(i, credentials) is not None]
    if len(left) != len(items):
        write_array(session, left)
    return len(items) - len(left)


def delete_all(session: Session) -> None:
    """Empty the array, whatever is in it.

    Raises:
        Unsupported: the token keeps no array.
        PinError: the PIN is wrong or cannot be asked for.
    """
    write_array(session, ())


def large_blob_key(session: Session, owner: BlobOwner) -> bytes:
    """The key under which a credential's blob is sealed, 32 bytes.

    Where a list of the token's credentials does not have it, it is asked for with a touch.

    Raises:
        Unsupported: the token keeps no large blobs, or the credential was made without a key.
        CredentialNotFound: the token does not hold the credential.
    """
    capacity(session)
    key = owner.large_blob_key or credential_blobs.fetch_key(session, owner, _READING)
    if key is not None and owner.large_blob_key is None and session.info.has_cred_mgmt:
        session.connection.notes.note(BLOB_KEY_UNLISTED)
    if key is None:
        raise Unsupported(
            f"the key for {owner.application!r} can have no blob",
            hint="only a resident key made with `fidokit key generate --large-blob` can",
        )
    return key


def _entries(array: BlobArray) -> Iterator[BlobEntry]:
    for item in array.items:
        entry = read_entry(item)
        if entry is not None:
            yield entry


def _fits(item: bytes, key: bytes) -> bool:
    entry = read_entry(item)
    return entry is not None and entry.fits(key)


def _none(session: Session, owner: BlobOwner) -> NotStored:
    return NotStored(
        f"{session.name} holds no blob for the key of {owner.application!r}",
        hint="`fidokit blob list` shows which keys have one",
    )
