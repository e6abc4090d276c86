"""SSH keys on a token: generate, list, download, delete, rename, and choosing among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.errors import FidokitError
from fidokit.inventory.rows import KeyRow
from fidokit.types import CredentialId, KeyType

if TYPE_CHECKING:
    from fidokit.token.session import Session

Passphrase = Callable[[Path], bytes | None]
"""Asked once a file, with its path: the new passphrase, or None for none."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """What `key generate` is asked for.

    Attributes:
        path: private key file; None is `~/.ssh/id_ed25519_sk` or `~/.ssh/id_ecdsa_sk`.
        application: must start with `ssh:` unless `allow_any_application`.
        user: at most 31 bytes of UTF-8; tells resident keys of one application apart.
        comment: of the public line; None is user@host.
        challenge_file: its bytes are the enrolment challenge; None is 32 random bytes.
        attestation_file: where to write the attestation blob; must be free as well.
        force: replace files that are in the way.
        replace: replace a resident credential with the same application and user.
        rounds: bcrypt rounds of the passphrase.
    """

    key_type: KeyType
    path: Path | None = None
    application: str = "ssh:"
    user: str = ""
    resident: bool = False
    verify_required: bool = False
    touch_required: bool = True
    comment: str | None = None
    challenge_file: Path | None = None
    attestation_file: Path | None = None
    allow_any_application: bool = False
    force: bool = False
    replace: bool = False
    rounds: int = 24


@dataclass(frozen=True, slots=True)
class Generated:
    """A key that was made and written.

    Attributes:
        public_line: what goes into authorized_keys, without newline.
        key_blob: the public key in wire form, for `fidokit.api.randomart`.
        warnings: sentences for the person (such as a folder that others may write to).
    """

    path: Path
    public_path: Path
    public_line: str
    fingerprint: str
    randomart: str
    key_type: KeyType
    application: str
    user: str
    comment: str
    resident: bool
    verify_required: bool
    touch_required: bool
    attestation_path: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Orphan:
    """A key that the token made but that could not be written; it is still whole in memory."""

    credential_id: CredentialId
    application: str
    user: str
    resident: bool
    fingerprint: str
    private: bytes = field(repr=False)
    public_line: str
    comment: str


class OrphanedCredential(FidokitError):
    """The token made the key, but its files could not be written.

    The hint says so; the caller offers `save_orphan` to another path, or `delete_orphan`.
    """

    def __init__(self, message: str, *, orphan: Orphan, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.orphan = orphan


def generate(
    session: Session, request: GenerateRequest, *, passphrase: Passphrase | None = None
) -> Generated:
    """Make a key on the token and write its two files.

    Order: what needs no token is checked first (application, user, paths), then what the token
    can do, then the passphrase is asked, then the token is touched, then the files are written.

    Raises:
        WouldOverwrite: a file, or a resident credential of the same application and user, is in
            the way; nothing was changed.
        OrphanedCredential: the key was made but not written.
        Unsupported, StoreFull, PinNotSet, PinError, TouchRefused, TouchTimedOut, UsageError.
    """
    raise NotImplementedError


def save_orphan(orphan: Orphan, path: Path) -> Path:
    """Write an orphan's files at another path. Returns the private file's path."""
    raise NotImplementedError


def delete_orphan(session: Session, orphan: Orphan) -> bool:
    """Remove the orphan from the token. False when it was not resident: nothing is there."""
    raise NotImplementedError


def list_keys(
    session: Session | None,
    *,
    folders: Sequence[Path] = (),
    any_rp: bool = False,
    only_token: bool = False,
) -> list[KeyRow]:
    """Keys on the token joined with key files, by public key; sorted by application, user.

    Args:
        session: None lists files alone.
        folders: folders to search besides `~/.ssh`.
        any_rp: also credentials whose application does not start with `ssh:`.
        only_token: leave out files whose key is not on this token.
    """
    raise NotImplementedError


def resolve(selector: str, rows: Sequence[KeyRow]) -> KeyRow:
    """The one row that `selector` names.

    It may be a fingerprint (whole or prefix, with or without `SHA256:`), a key file, an
    application or user or comment (`APP`, `ssh:APP`, `APP/USER`), or a credential id's
    hexadecimal prefix (at least 4 digits). An exact match of one kind wins over a prefix.

    Raises:
        CredentialNotFound when none fits; UsageError when several do, naming them.
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """What became of one key: written (`error` is None) or refused.

    Attributes:
        path: the private file that was, or would have been, written.
    """

    row: KeyRow
    path: Path
    public_line: str
    error: FidokitError | None = None


def download(
    session: Session,
    folder: Path | None = None,
    *,
    selectors: Sequence[str] = (),
    any_rp: bool = False,
    template: str | None = None,
    passphrase: Passphrase | None = None,
    rounds: int = 24,
) -> Iterator[DownloadResult]:
    """Write resident keys to files, one result a key as it is done; never overwrites.

    Iterate to the end: keys are written as the iterator advances.

    Args:
        folder: where to; the current folder when None, as `ssh-keygen -K`.
        selectors: which keys (see `resolve`); all when empty.
        template: file name with {type} {application} {user} {fingerprint} {id}; None names
            files as `ssh-keygen -K` does. Always sanitised, and made unique within one call.
    """
    raise NotImplementedError


def delete_key(session: Session, row: KeyRow, *, any_rp: bool = False) -> None:
    """Remove a resident key from the token; local files stay.

    Raises:
        UsageError when it is a website's credential and `any_rp` is not given;
        CredentialNotFound when the row is not on the token.
    """
    raise NotImplementedError


def rename_key(
    session: Session,
    row: KeyRow,
    *,
    comment: str | None = None,
    user_name: str | None = None,
    any_rp: bool = False,
) -> None:
    """Change the comment, or the displayed user name, that the token stores with a resident key.

    The key, its application and its user id stay, so files and `ssh-keygen -K` are not affected.
    """
    raise NotImplementedError
