"""Blobs beside resident keys, such as an SSH certificate: list, get, set, delete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.client.blobs import large_blobs
from fidokit.client.blobs.array import LARGEST_BLOB
from fidokit.client.blobs.large_blobs import delete_all as delete_all_blobs
from fidokit.client.credentials import resident
from fidokit.errors import UsageError
from fidokit.files import atomic
from fidokit.files.keyfile import check_free
from fidokit.inventory.key_list import resolve
from fidokit.keys.holder import open_key_file
from fidokit.keys.resident_keys import credential_of, list_keys
from fidokit.types import CredentialId, PassphraseSource, SkFlag

if TYPE_CHECKING:
    from fidokit.client.blobs.credential_blobs import BlobOwner
    from fidokit.client.session import Session
    from fidokit.inventory.key_list import KeyRow
    from fidokit.types import Application

__all__ = [
    "LARGEST_BLOB",
    "BlobRow",
    "BlobTable",
    "delete_all_blobs",
    "delete_blobs",
    "delete_orphaned_blobs",
    "download_blob",
    "get_blob",
    "list_blobs",
    "set_blob",
]


@dataclass(frozen=True, slots=True)
class BlobRow:
    """A blob and the key it belongs to.

    Attributes:
        size: bytes.
        stored: bytes that it takes on the token; None if that does not tell.
    """

    key: KeyRow
    size: int
    stored: int | None


@dataclass(frozen=True, slots=True)
class BlobTable:
    """What a token holds.

    Attributes:
        blobs: those of the keys that were looked at.
        others: entries that belong to none of them: other applications', or of deleted keys.
        used, capacity: bytes; None if each blob is kept with its key.
        damaged: whether what was there was unreadable, and counts as nothing.
    """

    blobs: tuple[BlobRow, ...]
    others: int
    used: int | None
    capacity: int | None
    damaged: bool


def list_blobs(session: Session, *, any_rp: bool = False) -> BlobTable:
    """The blobs of the SSH keys on the token, or of all its credentials.

    Raises:
        Unsupported: the token keeps no large blobs, or cannot list its keys.
        PinError: the PIN is wrong or cannot be asked for.
        MalformedCbor: another program wrote something that cannot be read.
    """
    large_blobs.require(session)
    rows = list_keys(session, any_rp=any_rp, only_token=True)
    found = large_blobs.list_blobs(session, [credential_of(row) for row in rows])
    by_id = {row.credential_id: row for row in rows}
    return BlobTable(
        tuple(BlobRow(by_id[b.credential.credential_id], b.size, b.stored) for b in found.blobs),
        found.others,
        found.used,
        found.capacity,
        found.damaged,
    )


def get_blob(
    session: Session, key: str, *, any_rp: bool = False, passphrase: PassphraseSource | None = None
) -> bytes:
    """The blob of a key.

    Args:
        key: as `resolve` takes it: file, fingerprint, application, user, comment, credential id.
        any_rp: also of websites' credentials.
        passphrase: for a private key file, which is opened if the token cannot list its keys.

    Raises:
        NotStored: there is none.
        Unsupported: the token keeps no large blobs, or the key was made so that it can have none.
        Malformed: it does not unpack.
        CredentialNotFound, UsageError: `key` names none, or several; PinError.
    """
    large_blobs.require(session)
    return large_blobs.get(session, _owner(session, key, any_rp, passphrase))


def download_blob(
    session: Session,
    key: str,
    path: Path,
    *,
    force: bool = False,
    any_rp: bool = False,
    passphrase: PassphraseSource | None = None,
) -> int:
    """Write the blob of a key to a file that is the user's alone; returns its size in bytes.

    Args:
        path: checked before the token is asked.
        force: replace a file that is in the way.

    Raises:
        WouldOverwrite: the file is in the way; NoPermission; and all that `get_blob` raises.
    """
    check_free(path, force=force)
    blob = get_blob(session, key, any_rp=any_rp, passphrase=passphrase)
    (atomic.replace if force else atomic.write_new)(path, blob)
    return len(blob)


def set_blob(
    session: Session,
    key: str,
    blob: bytes,
    *,
    any_rp: bool = False,
    passphrase: PassphraseSource | None = None,
) -> None:
    """Store a blob for a key, in the place of the one it had.

    Args:
        blob: at most 1 MiB; what the token has room for is its size when compressed.

    Raises:
        StoreFull: it does not fit, and nothing was changed; and all that `get_blob` raises.
    """
    large_blobs.authorize_change(session)
    large_blobs.put(session, _owner(session, key, any_rp, passphrase), blob)


def changeable_keys(session: Session) -> list[KeyRow]:
    """The SSH keys on the token, after its owner allowed to change what is beside them.

    Raises:
        Unsupported: the token keeps no large blobs, or cannot list its keys.
        PinError: the PIN is wrong or cannot be asked for.
    """
    large_blobs.authorize_change(session)
    return list_keys(session, only_token=True, search_home=False)


def delete_blobs(
    session: Session,
    keys: Sequence[str],
    *,
    any_rp: bool = False,
    passphrase: PassphraseSource | None = None,
) -> None:
    """Delete the blobs of these keys; the keys stay.

    Raises:
        NotStored: one of them has none, and nothing was changed; and all that `get_blob` raises.
    """
    large_blobs.authorize_change(session)
    large_blobs.delete(session, [_owner(session, key, any_rp, passphrase) for key in keys])


def delete_orphaned_blobs(session: Session) -> int:
    """Delete the blobs that no key on the token opens any more; returns how many there were.

    What other programs keep in a form that is not known here stays.

    Raises:
        Unsupported: the token keeps no array of blobs, or cannot list its keys; PinError.
    """
    large_blobs.authorize_change(session)
    return large_blobs.delete_orphans(session, resident.list_credentials(session, any_rp=True))


@dataclass(frozen=True, slots=True)
class _FileKey:
    """A key that is known by its file, on a token that cannot list its keys."""

    credential_id: CredentialId
    application: Application
    verify_required: bool
    large_blob_key: Final[None] = None


def _owner(
    session: Session, key: str, any_rp: bool, passphrase: PassphraseSource | None
) -> BlobOwner:
    if session.info.has_cred_mgmt is None:
        return _from_file(session, Path(key).expanduser(), passphrase)

    # a file is known to the list by the folder it is in
    folders = [Path(key).expanduser().parent] if Path(key).expanduser().is_file() else []
    rows = list_keys(session, folders=folders, any_rp=any_rp, only_token=True, named=[key])
    return credential_of(resolve(key, rows))


def _from_file(session: Session, path: Path, passphrase: PassphraseSource | None) -> BlobOwner:
    if not path.is_file():
        raise UsageError(
            f"{session.name} cannot list its keys, and {str(path)!r} is not a private key file",
            hint="name the private key file",
        )
    held = open_key_file(path, passphrase=passphrase).key
    verify = SkFlag.USER_VERIFICATION_REQUIRED in held.flags
    return _FileKey(CredentialId(held.key_handle), held.public.application, verify)
