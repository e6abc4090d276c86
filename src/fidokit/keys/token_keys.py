"""All keys of one token: those that it lists, and those in files that it knows as its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError, PinNotSet, Unsupported
from fidokit.files.filenames import backups_beside
from fidokit.files.keyfile import public_path, read_private, ssh_folder
from fidokit.files.scan import FoundKey, find_keys, read_key
from fidokit.keys.resident_keys import list_keys
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.private import parse_private
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.types import SkFlag

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import PrivateFile


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """The keys of one token, as far as they can be known.

    Attributes:
        blobs: their public blobs, by fingerprint.
        listed: whether the token listed its resident keys.
        unknown: files of keys on tokens of which it is not known whether they are this token's:
            they are under a passphrase, or only the public half is there.
    """

    blobs: Mapping[str, bytes]
    listed: bool
    unknown: tuple[Path, ...]

    def has_any(self, prints: Iterable[str]) -> bool:
        """Whether one of these fingerprints is among the keys."""
        return any(print_ in self.blobs for print_ in prints)


def keys_of_token(session: Session, folders: Sequence[Path] = ()) -> TokenKeys:
    """All keys of a token: resident ones by its own list, others by asking about each file.

    The questions take neither touch nor PIN; the list takes the PIN.

    Args:
        folders: folders with key files besides `~/.ssh`.
    """
    from fidokit.client.discovery import holds

    blobs, listed = _resident(session)
    unknown = []
    for found in find_keys([ssh_folder(), *folders]):
        key = found.line.key
        if not isinstance(key, SkEd25519Public | SkEcdsaPublic):
            continue
        print_ = fingerprint.sha256(key.blob())
        file = _opened(found.path) if found.is_private else None
        if file is None:
            unknown.append((print_, found.path))
        elif holds(session, file.key.key_handle, key.application):
            blobs[print_] = key.blob()
    left = tuple(path for print_, path in unknown if not _has_private(path) and print_ not in blobs)
    return TokenKeys(blobs, listed, left)


def _has_private(path: Path) -> bool:
    """Whether the private half is beside a public file, so that it was asked about itself."""
    return path.suffix == ".pub" and path.with_suffix("").exists()


def _resident(session: Session) -> tuple[dict[str, bytes], bool]:
    try:
        rows = list_keys(session, only_token=True, search_home=False)
    except (Unsupported, PinNotSet):
        return {}, False
    return {row.fingerprint: row.public.blob() for row in rows if row.public}, True


def _opened(path: Path) -> PrivateFile | None:
    try:
        return parse_private(read_private(path), None)
    except FidokitError:
        return None


# --- files ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenKeyFile:
    """A private file of a key on a token.

    Attributes:
        path: the file.
        fingerprint: of its key.
        comment: as the public file beside it has it; hostile text.
        held: whether the token that was asked has the key; None if that is not known.
        verify_required: whether each use asks for the PIN; None if that is not known.
        touch_required: whether each use asks for a touch; None if that is not known.
    """

    path: Path
    fingerprint: str
    comment: str
    held: bool | None
    verify_required: bool | None
    touch_required: bool | None


def token_key_files(session: Session | None = None) -> list[TokenKeyFile]:
    """The private files of keys on tokens in `~/.ssh`, without those of backups.

    Args:
        session: a token that is asked, without touch and PIN, whether the keys are its own.
    """
    found = [
        file
        for file in find_keys([ssh_folder()])
        if file.is_private and isinstance(file.line.key, SkEd25519Public | SkEcdsaPublic)
    ]
    names = {file.path for file in found}
    backups = {public.with_suffix("") for path in names for public in backups_beside(path)} & names
    return [_described(file, session) for file in found if file.path not in backups]


def _described(file: FoundKey, session: Session | None) -> TokenKeyFile:
    from fidokit.client.discovery import holds

    beside = public_path(file.path)
    try:
        comment = read_key(beside)[0].comment
    except FidokitError:
        comment = ""
    print_ = fingerprint.sha256(file.line.key.blob())
    try:
        held = parse_private(read_private(file.path), None).key
    except FidokitError:
        return TokenKeyFile(file.path, print_, comment, None, None, None)
    owns = holds(session, held.key_handle, held.public.application) if session else None
    verify = SkFlag.USER_VERIFICATION_REQUIRED in held.flags
    if owns is False and verify:
        owns = None  # credProtect 3: the token shows it to nobody without the PIN
    touch = SkFlag.USER_PRESENCE_REQUIRED in held.flags
    return TokenKeyFile(file.path, print_, comment, owns, verify, touch)
