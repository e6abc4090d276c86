"""All keys of one token: those that it lists, and those in files that it knows as its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError, PinNotSet, Unsupported
from fidokit.files.keyfile import read_private, ssh_folder
from fidokit.files.scan import find_keys
from fidokit.keys.resident_keys import list_keys
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.private import parse_private
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public

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
    """Whether the private half lies beside a public file, so that it was asked about itself."""
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
