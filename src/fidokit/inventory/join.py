"""Joining the keys on a token with the key files on disk, by public key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from pathlib import Path

from fidokit.errors import UsageError
from fidokit.inventory.rows import KeyRow, LocalFile, TokenCredential
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import (
    PublicKey,
    PublicLine,
    SkEcdsaPublic,
    SkEd25519Public,
    SkPublic,
)
from fidokit.types import SkFlag

ReadFlags = Callable[[Path], tuple[SkFlag, str] | None]
"""Flags and comment of a private key file; None where it is under a passphrase or unreadable."""


def join(
    credentials: Iterable[TokenCredential], files: Iterable[LocalFile], read_flags: ReadFlags
) -> list[KeyRow]:
    """One row for each key, sorted by application, user, comment and fingerprint.

    Args:
        files: key files of any type; only those of keys on tokens count.
    """
    by_key: dict[SkPublic, list[LocalFile]] = {}
    for file in files:
        if isinstance(file.line.key, SkEd25519Public | SkEcdsaPublic):
            by_key.setdefault(file.line.key, []).append(file)
    rows = [_on_token(held, _files_of(held, by_key)) for held in credentials]
    rows += [_on_disk(key, found, read_flags) for key, found in by_key.items()]
    order = ("application", "user", "comment", "fingerprint")
    return sorted(rows, key=attrgetter(*order))


def _files_of(
    held: TokenCredential, by_key: dict[SkPublic, list[LocalFile]]
) -> Sequence[LocalFile]:
    return by_key.pop(held.public, []) if held.public else []


def _on_token(held: TokenCredential, files: Sequence[LocalFile]) -> KeyRow:
    comment = held.comment or _comment(files)
    public = held.public
    return KeyRow(
        fingerprint=fingerprint.sha256(public.blob()) if public else "",
        key_type=public.key_type if public else None,
        application=held.application,
        user=held.user,
        comment=comment,
        verify_required=SkFlag.USER_VERIFICATION_REQUIRED in held.flags,
        touch_required=SkFlag.USER_PRESENCE_REQUIRED in held.flags,
        on_token=True,
        created=min((file.modified for file in files), default=None),
        files=_paths(files),
        credential_id=held.credential_id,
        public_line=public_line(public, comment) if public else "",
        user_name=held.user_name,
        public=public,
        credential=held,
    )


def _on_disk(key: SkPublic, files: Sequence[LocalFile], read_flags: ReadFlags) -> KeyRow:
    known = next(
        (read for file in files if file.is_private and (read := read_flags(file.path))), None
    )
    comment = _comment(files) or (known[1] if known else "")
    return KeyRow(
        fingerprint=fingerprint.sha256(key.blob()),
        key_type=key.key_type,
        application=key.application,
        user="",
        comment=comment,
        verify_required=SkFlag.USER_VERIFICATION_REQUIRED in known[0] if known else None,
        touch_required=SkFlag.USER_PRESENCE_REQUIRED in known[0] if known else None,
        on_token=False,
        created=min(file.modified for file in files),
        files=_paths(files),
        credential_id=None,
        public_line=public_line(key, comment),
        public=key,
    )


def _comment(files: Iterable[LocalFile]) -> str:
    return next((file.line.comment for file in files if file.line.comment), "")


def _paths(files: Iterable[LocalFile]) -> tuple[Path, ...]:
    """Private halves; where there is none, public ones."""
    private = tuple(sorted(file.path for file in files if file.is_private))
    return private or tuple(sorted(file.path for file in files))


def public_line(key: PublicKey, comment: str) -> str:
    """The public line; a comment that no line can carry is left out."""
    try:
        return PublicLine(key, comment).encode()
    except UsageError:
        return PublicLine(key, "").encode()
