"""SSH keys on a token: list, choose, download, delete, rename."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    FileInTheWay,
    Interrupted,
    Unsupported,
    UsageError,
)
from fidokit.files import filenames
from fidokit.files.keyfile import check_pair_free, read_private, ssh_folder, write_pair
from fidokit.files.scan import find_keys
from fidokit.inventory import KeyRow, join, public_line, resolve
from fidokit.openssh.keys.private import PrivateFile, encode_private, parse_private
from fidokit.tokens.remembered import attach
from fidokit.types import PassphraseSource, SkFlag

if TYPE_CHECKING:
    from fidokit.client.credentials.resident import ResidentCredential
    from fidokit.client.session import Session

__all__ = [
    "DownloadResult",
    "KeyRow",
    "delete_key",
    "download_keys",
    "list_keys",
    "rename_key",
    "resolve",
]


def list_keys(
    session: Session | None,
    *,
    folders: Sequence[Path] = (),
    any_rp: bool = False,
    only_token: bool = False,
    search_home: bool = True,
    remember: bool | None = None,
) -> list[KeyRow]:
    """Keys on the token joined with key files, by public key; sorted by application, user.

    Args:
        session: None lists files alone.
        folders: folders to search besides `~/.ssh`.
        any_rp: also credentials whose application does not start with `ssh:`.
        only_token: leave out files whose key is not on this token.
        search_home: look into `~/.ssh` at all.
        remember: keep the right to list this token's keys, so that the next time needs no PIN
            (True), use none that is kept (False), or do as was agreed before (None). See
            `fidokit.tokens.remembered` for what that means.

    Raises:
        Unsupported (a token without credential management, or without such a right), PinError
        and others of the token.
    """
    held = _held(session, any_rp, remember) if session else []
    searched = [ssh_folder(), *folders] if search_home else folders
    rows = join(held, find_keys(searched), _read_flags)
    return [row for row in rows if row.on_token] if only_token else rows


def _held(session: Session, any_rp: bool, remember: bool | None) -> list[ResidentCredential]:
    from fidokit.client.credentials import resident

    attach(session, remember)
    return resident.list_credentials(session, any_rp=any_rp)


def _read_flags(path: Path) -> tuple[SkFlag, str] | None:
    try:
        file = parse_private(read_private(path), None)
    except FidokitError:
        return None
    return file.key.flags, file.comment


@dataclass(frozen=True, slots=True)
class DownloadResult:
    """What became of one key: written (`error` is None) or refused.

    Attributes:
        path: the private file that was, or would have been, written.
        public_line: without newline.
    """

    row: KeyRow
    path: Path
    public_line: str
    error: FidokitError | None = None


def download_keys(
    session: Session,
    folder: Path | None = None,
    *,
    selectors: Sequence[str] = (),
    any_rp: bool = False,
    template: str | None = None,
    passphrase: PassphraseSource | None = None,
    rounds: int = 24,
) -> Iterator[DownloadResult]:
    """Write resident keys to files, one result a key as it is done; never overwrites.

    Iterate to the end: keys are written as the iterator advances. verify-required is restored
    from credProtect, no-touch-required and the comment from the label that fidokit stored;
    without one the comment is the application, as `ssh-keygen -K` has it.

    Args:
        folder: where to; the current folder when None, as `ssh-keygen -K`.
        selectors: which keys (see `resolve`); all when empty.
        template: file name with the fields of `fidokit.files.filenames.TEMPLATE_FIELDS`; None names
            files as `ssh-keygen -K` does. Always sanitized, and made unique within one call.

    Raises:
        UsageError: an ambiguous selector or a bad template; CredentialNotFound: an unknown one.
        What listing raises. Refusals of single files are results, not errors.
    """
    if template is not None:
        filenames.check_template(template)
    rows = list_keys(session, any_rp=any_rp, only_token=True, search_home=bool(selectors))
    if selectors:
        chosen = [resolve(selector, rows) for selector in selectors]
        rows = list({row.credential_id: row for row in chosen}.values())
    names = filenames.make_unique(
        [_name(row, template) for row in rows], [_tag(row) for row in rows]
    )
    for row, name in zip(rows, names, strict=True):
        path = (folder or Path()) / name
        yield _download_one(row, path, passphrase, rounds)


def _tag(row: KeyRow) -> str:
    return (row.credential_id or b"").hex()[:8]


def _name(row: KeyRow, template: str | None) -> str:
    held = credential_of(row)
    if row.key_type is None:
        return filenames.sanitize(row.application)
    if template is None:
        return filenames.download_name(row.key_type, row.application, held.user_id)
    fields = {
        "type": filenames.type_part(row.key_type),
        "application": filenames.application_part(row.application),
        "user": filenames.user_part(held.user_id),
        "user_name": held.user_name,
        "comment": held.comment,
        "fingerprint": row.fingerprint.removeprefix("SHA256:")[:16],
        "id": held.credential_id.hex()[:16],
    }
    return filenames.render_template(template, fields)


def _download_one(
    row: KeyRow, path: Path, passphrase: PassphraseSource | None, rounds: int
) -> DownloadResult:
    try:
        line = _write_one(row, path, passphrase, rounds)
    except Interrupted:  # of a question for the passphrase: it ends the command, not the file
        raise
    except FidokitError as error:
        return DownloadResult(row, path, row.public_line, error)
    return DownloadResult(row, path, line)


def _write_one(row: KeyRow, path: Path, passphrase: PassphraseSource | None, rounds: int) -> str:
    held = credential_of(row)
    if held.public is None or held.private is None:
        raise Unsupported(
            f"the credential of {row.application!r} is of a type that OpenSSH does not know",
            hint="it belongs to a website; leave it there",
        )
    try:
        check_pair_free(path)
    except FileInTheWay as error:  # nothing is ever replaced here
        raise FileInTheWay(
            error.message, hint="move it away, or choose another --dir or --name"
        ) from None
    comment = printable(held.comment) or held.application
    line = public_line(held.public, comment)
    secret = passphrase(path) if passphrase else None
    data = encode_private(
        PrivateFile(held.private, comment), passphrase=secret or None, rounds=rounds
    )
    write_pair(path, data, line)
    return line


def printable(text: str) -> str:
    """A comment from a token without what could forge a line or drive a terminal."""
    return "".join(c for c in text if c.isprintable())


def label_of(credential: ResidentCredential) -> str:
    """What tells a resident key from others: its comment, else its application and user."""
    name = f"{credential.application} {credential.user}".strip()
    comment = credential.comment
    return printable(comment if comment and comment != credential.application else name)


def credential_of(row: KeyRow) -> ResidentCredential:
    """The token's own record behind a row.

    Raises:
        CredentialNotFound: the row is not on the token.
    """
    if row.credential is None:
        raise CredentialNotFound(
            f"the key {row.fingerprint} is not on this token",
            hint="`fidokit key list` shows which keys are",
        )
    return row.credential


def delete_key(session: Session, row: KeyRow, *, any_rp: bool = False) -> None:
    """Remove a resident key from the token; local files stay.

    Raises:
        UsageError: it is a website's credential and `any_rp` is not given.
        CredentialNotFound: the row is not on the token, or not any more.
    """
    from fidokit.client.credentials import resident

    resident.delete(session, credential_of(row), any_rp=any_rp)


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

    Raises:
        UsageError: nothing to change, or a website's credential without `any_rp`.
        CredentialNotFound, Unsupported (a token that cannot), PinError.
    """
    from fidokit.client.credentials import resident
    from fidokit.client.credentials.resident import encode_display

    held = credential_of(row)
    if comment is None and user_name is None:
        raise UsageError("nothing to change", hint="give a new comment or user name")
    if not any_rp and not held.application.startswith("ssh:"):
        raise UsageError(
            f"{held.application!r} is a website's credential, not an SSH key",
            hint="give --any-rp if you mean it",
        )
    display = held.display_name
    if comment is not None:
        touch = SkFlag.USER_PRESENCE_REQUIRED in held.flags
        display = encode_display(comment, touch)
    resident.rename(session, held, held.user_name if user_name is None else user_name, display)
