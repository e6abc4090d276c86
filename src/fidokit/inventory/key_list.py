"""The key list: keys on the token joined with files on disk, and one chosen by what is typed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.errors import CredentialNotFound, FidokitError, UsageError
from fidokit.files.filenames import backups_beside, first_comment
from fidokit.files.keyfile import public_path
from fidokit.files.scan import FoundKey, read_key
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.public import (
    PublicKey,
    PublicLine,
    SkEcdsaPublic,
    SkEd25519Public,
    SkPublic,
)
from fidokit.types import CoseAlg, CredentialId, KeyType, SkFlag

if TYPE_CHECKING:
    from fidokit.client.credentials.resident import ResidentCredential
    from fidokit.openssh.certificates.certificate import Certificate


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key on the token, on disk, or both.

    Text comes from tokens and files: escape it before a terminal.

    Attributes:
        fingerprint: "SHA256:..." of the public key; empty, as key_type is None, for a website's
            credential of a type that OpenSSH does not know.
        user: the user id as text, trailing zeros trimmed; hexadecimal where it is not text.
        verify_required, touch_required: None if not known (an encrypted file, no token).
        on_token: whether the open token holds it as a resident credential.
        created: the oldest file's modification time, UTC: tokens do not tell.
        files: private key files, and public ones whose private half is nowhere to be seen.
        credential_id: None if it is not on the token.
        other_type: what kind of key it is where SSH has no such type, such as "ES384".
        application_cut: whether the token returned the application shortened.
        certificates: those that the token keeps for it, where they were asked for.
    """

    fingerprint: str
    key_type: KeyType | None
    application: str
    user: str
    comment: str
    verify_required: bool | None
    touch_required: bool | None
    on_token: bool
    created: datetime | None
    files: tuple[Path, ...]
    credential_id: CredentialId | None
    public_line: str
    user_name: str = ""
    public: SkPublic | None = field(default=None, repr=False)
    credential: ResidentCredential | None = field(default=None, repr=False, compare=False)
    other_type: str = ""
    application_cut: bool = False
    certificates: tuple[Certificate, ...] = field(default=(), repr=False)


# --- joining the keys on a token with the key files on disk, by public key -------------------


ReadFlags = Callable[[Path], tuple[SkFlag, str] | None]
"""Flags and comment of a private key file; None if it is under a passphrase or unreadable."""


def join(
    credentials: Iterable[ResidentCredential], files: Iterable[FoundKey], read_flags: ReadFlags
) -> list[KeyRow]:
    """One row for each key, sorted by application, user, comment and fingerprint.

    Args:
        files: key files of any type; only those of keys on tokens count.
    """
    by_key: dict[SkPublic, list[FoundKey]] = {}
    for file in files:
        if isinstance(file.line.key, SkEd25519Public | SkEcdsaPublic):
            by_key.setdefault(file.line.key, []).append(file)
    rows = [_on_token(held, _files_of(held, by_key)) for held in credentials]
    rows += [_on_disk(key, found, read_flags) for key, found in by_key.items()]
    order = ("application", "user", "comment", "fingerprint")
    return sorted(rows, key=attrgetter(*order))


def _files_of(
    held: ResidentCredential, by_key: dict[SkPublic, list[FoundKey]]
) -> Sequence[FoundKey]:
    return by_key.pop(held.public, []) if held.public else []


def _on_token(held: ResidentCredential, files: Sequence[FoundKey]) -> KeyRow:
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
        other_type="" if public else algorithm_name(held.algorithm),
        application_cut=held.is_cut,
    )


def algorithm_name(number: int | None) -> str:
    """A COSE algorithm as people call it, such as "ES384"; its number if it has no name here."""
    if number is None:
        return "an unknown type"
    known = number in CoseAlg._value2member_map_
    return CoseAlg(number).name if known else f"COSE algorithm {number}"


def _on_disk(key: SkPublic, files: Sequence[FoundKey], read_flags: ReadFlags) -> KeyRow:
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


def _comment(files: Iterable[FoundKey]) -> str:
    return next((file.line.comment for file in files if file.line.comment), "")


def _paths(files: Iterable[FoundKey]) -> tuple[Path, ...]:
    """Private halves; if there is none, public ones."""
    private = tuple(sorted(file.path for file in files if file.is_private))
    return private or tuple(sorted(file.path for file in files))


def public_line(key: PublicKey, comment: str) -> str:
    """The public line; a comment that no line can carry is left out."""
    try:
        return PublicLine(key, comment).encode()
    except UsageError:
        return PublicLine(key, "").encode()


# --- choosing keys by what a user would type -----------------------------------------------


MIN_HEX: Final = 4
"""Hexadecimal digits of a credential id that are not taken for a name."""

MIN_FINGERPRINT: Final = 4
"""Characters of a fingerprint, without `SHA256:`."""

_LISTED: Final = 8

Matcher = Callable[[str, KeyRow], bool]


def fingerprint_in_file(name: str) -> str | None:
    """The fingerprint of the key in a file; None for no such file, or one without a key."""
    if not name or "\0" in name:
        return None
    try:
        # os.path leaves a name that nobody has alone, where Path.expanduser raises RuntimeError
        line, _ = read_key(Path(os.path.expanduser(name)))  # noqa: PTH111
    except FidokitError:
        return None
    return fingerprint.sha256(line.key.blob())


def resolve(
    selector: str,
    rows: Sequence[KeyRow],
    *,
    key_in: Callable[[str], str | None] = fingerprint_in_file,
) -> KeyRow:
    """The one row that `selector` names.

    It is held against all rows in these ways, and the first way that fits any row decides: whole
    fingerprint, file of a row, file with the same key, application or user or comment or
    `APPLICATION/USER`, fingerprint's beginning (4 characters and more), credential id's beginning
    (4 hexadecimal digits and more).

    Args:
        key_in: the fingerprint of the key in the file of that name, None if it holds none;
            so a file, private or public, names its key wherever it lies.

    Raises:
        CredentialNotFound: none fits.
        UsageError: several do; the hint lists them.
    """
    for fits in (*_BY_FILE, _holds_same_key(key_in), *_BY_NAME):
        found = [row for row in rows if fits(selector, row)]
        if len(found) > 1:
            raise _ambiguous(selector, found)
        if found:
            return found[0]
    raise CredentialNotFound(
        f"no key fits {selector!r}",
        hint="`fidokit key list` shows what there is; name a key by fingerprint, file, "
        "application, user, comment or credential id",
    )


def label(row: KeyRow) -> str:
    """A key in a few words for messages: application, user, fingerprint's beginning."""
    user = f"/{row.user}" if row.user else ""
    return f"{row.application}{user} ({_what(row)})"


def _what(row: KeyRow) -> str:
    if row.key_type:
        return f"{row.key_type}, {row.fingerprint[:19]}"
    if not row.application.startswith("ssh:"):
        return "a website's credential"
    identifier = (row.credential_id or b"").hex()[:16]
    why = "application cut by the token" if row.application_cut else row.other_type
    return f"{why}, credential {identifier}"


def _ambiguous(selector: str, found: Sequence[KeyRow]) -> UsageError:
    listed = "; ".join(label(row) for row in found[:_LISTED])
    more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return UsageError(
        f"{selector!r} fits {len(found)} keys: {listed}{more}",
        hint="name one by the beginning of its fingerprint",
    )


def _bare(text: str) -> str:
    return text.removeprefix("SHA256:").rstrip("=")


def _is_fingerprint(selector: str, row: KeyRow) -> bool:
    return bool(row.fingerprint) and _bare(selector) == _bare(row.fingerprint)


def _begins_fingerprint(selector: str, row: KeyRow) -> bool:
    start = _bare(selector)
    return len(start) >= MIN_FINGERPRINT and _bare(row.fingerprint).startswith(start)


def _is_file(selector: str, row: KeyRow) -> bool:
    if not selector or "\0" in selector:
        return False
    # os.path's leaves ~nobody as it is; Path's raises if no user has the name
    wanted = Path(os.path.realpath(os.path.expanduser(selector)))  # noqa: PTH111
    names = {Path(os.path.realpath(path)) for path in row.files}
    return wanted in names or (wanted.suffix == ".pub" and wanted.with_suffix("") in names)


def _holds_same_key(key_in: Callable[[str], str | None]) -> Matcher:
    """A matcher that reads the file once, and only when it is asked about a first row."""
    read: dict[str, str | None] = {}

    def fits(selector: str, row: KeyRow) -> bool:
        if selector not in read:
            read[selector] = key_in(selector)
        return bool(row.fingerprint) and read.get(selector) == row.fingerprint

    return fits


def _is_name(selector: str, row: KeyRow) -> bool:
    application = row.application
    short = re.sub(r"^ssh:(//)?", "", application)
    names = {application, short, row.user, row.user_name, row.comment}
    names |= {f"{application}/{row.user}", f"{short}/{row.user}"} if row.user else set()
    return selector in names - {""}


def _begins_credential_id(selector: str, row: KeyRow) -> bool:
    return (
        row.credential_id is not None
        and len(selector) >= MIN_HEX
        and row.credential_id.hex().startswith(selector.lower())
    )


_BY_FILE: Final[Sequence[Matcher]] = (_is_fingerprint, _is_file)
_BY_NAME: Final[Sequence[Matcher]] = (_is_name, _begins_fingerprint, _begins_credential_id)


# --- backups ---------------------------------------------------------------------------------


class Backup(StrEnum):
    """A key has a backup, is one, or stands alone: then a lost token is a lost key."""

    HAS = "yes"
    IS = "is one"
    NONE = "none"


def backup_states(rows: Sequence[KeyRow]) -> list[Backup]:
    """The state of each row, told from the comments and names that `files.filenames` gives."""
    return [_state(row, rows) for row in rows]


def _state(row: KeyRow, rows: Sequence[KeyRow]) -> Backup:
    if any(_is_backup_of(row, other) for other in rows):
        return Backup.IS
    if any(_is_backup_of(other, row) for other in rows):
        return Backup.HAS
    # its first key may be on a token that is not plugged in, with no file here
    return Backup.IS if first_comment(row.comment) is not None else Backup.NONE


def _is_backup_of(row: KeyRow, first: KeyRow) -> bool:
    if row is first or (row.application, row.user) != (first.application, first.user):
        return _by_name(row, first)
    return first_comment(row.comment) == first.comment or _by_name(row, first)


def _by_name(row: KeyRow, first: KeyRow) -> bool:
    if row is first or row.application != first.application:
        return False
    own = {_public(path) for path in row.files}
    return any(own.intersection(backups_beside(path)) for path in first.files)


def _public(path: Path) -> Path:
    return path if path.suffix == ".pub" else public_path(path)
