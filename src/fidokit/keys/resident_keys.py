"""SSH keys on a token: list, choose, download, delete, rename."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.errors import (
    CredentialNotFound,
    FidokitError,
    FileInTheWay,
    Interrupted,
    NotTried,
    Unsupported,
    UsageError,
)
from fidokit.files import atomic, filenames
from fidokit.files.keyfile import (
    check_free,
    public_path,
    read_private,
    ssh_folder,
    write_pair,
)
from fidokit.files.scan import FoundKey, find_keys
from fidokit.inventory.key_list import Backup, KeyRow, backup_states, join, public_line, resolve
from fidokit.keys.stored_certificates import (
    StoredCertificates,
    certificate_line,
    read_certificates,
    usable_longest,
)
from fidokit.openssh.keys.public import SkEcdsaPublic, SkEd25519Public
from fidokit.tokens.remembered import attach
from fidokit.types import Application, PassphraseSource, SkFlag

if TYPE_CHECKING:
    from fidokit.client.credentials.resident import ResidentCredential
    from fidokit.client.credentials.resident import RpFailure as RpFailure  # noqa: PLC0414  its users may not reach lower
    from fidokit.client.session import Session

__all__ = [
    "Backup",
    "DeleteResult",
    "DownloadResult",
    "KeyRow",
    "backup_states",
    "delete_key",
    "delete_keys",
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
    application: str | None = None,
    named: Sequence[str] = (),
    failed: list[RpFailure] | None = None,
    certificates: list[str] | None = None,
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
        application: only this one; it is found by its hash, where the token cut its name.
        named: what the user called keys; an application among it is found by its hash, too.
        failed: takes the applications that the token did not list; None raises the first error.
        certificates: also read those that the token keeps; takes what is wrong with them, a
            sentence each.

    Raises:
        Unsupported (a token without credential management, or without such a right), PinError
        and others of the token.
    """
    searched = [ssh_folder(), *folders] if search_home else folders
    files = list(find_keys(searched))
    held: list[ResidentCredential] = []
    stored = StoredCertificates()
    if session:
        from fidokit.client.credentials import resident
        from fidokit.client.owner.asked_once import asking_once

        attach(session, remember)
        with asking_once(session):
            held = resident.list_credentials(
                session,
                application=None if application is None else Application(application),
                any_rp=any_rp,
                known=_applications(files).union(named, (f"ssh:{name}" for name in named)),
                failed=failed,
            )
            if certificates is not None:
                stored = read_certificates(session, held)
                certificates += stored.problems
    rows = join(held, files, _read_flags)
    if stored.by_key:
        rows = [
            row
            if row.credential_id is None
            else replace(row, certificates=stored.by_key.get(row.credential_id, ()))
            for row in rows
        ]
    if application is not None:
        rows = [row for row in rows if row.application == application]
    return [row for row in rows if row.on_token] if only_token else rows


def _applications(files: Iterable[FoundKey]) -> set[str]:
    """What the keys in files are bound to: a token that cuts names is asked by their hashes."""
    return {
        file.line.key.application
        for file in files
        if isinstance(file.line.key, SkEd25519Public | SkEcdsaPublic)
    }


def _read_flags(path: Path) -> tuple[SkFlag, str] | None:
    from fidokit.openssh.keys.private import parse_private

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
        certificate: the file of the certificate that the token keeps for the key; None for none.
    """

    row: KeyRow
    path: Path
    public_line: str
    error: FidokitError | None = None
    certificate: Path | None = None


def download_keys(
    session: Session,
    folder: Path | None = None,
    *,
    selectors: Sequence[str] = (),
    any_rp: bool = False,
    template: str | None = None,
    passphrase: PassphraseSource | None = None,
    rounds: int = 24,
    application: str | None = None,
    search_home: bool = True,
    problems: list[str] | None = None,
) -> Iterator[DownloadResult]:
    """Write resident keys to files, one result a key as it is done; never overwrites.

    Iterate to the end: keys are written as the iterator advances. verify-required is restored
    from credProtect, no-touch-required and the comment from the label that fidokit stored;
    without one the comment is the application, as `ssh-keygen -K` has it. A certificate that the
    token keeps for a key goes beside it, into `NAME-cert.pub`.

    Args:
        folder: where to; the current folder when None, as `ssh-keygen -K`.
        selectors: which keys, each by fingerprint, application, user or file name; all when empty.
        template: file name with the fields of `fidokit.files.filenames.TEMPLATE_FIELDS`; None names
            files as `ssh-keygen -K` does. Always sanitized, and made unique within one call.
        application: as `list_keys` takes it.
        search_home: look into `~/.ssh` for applications whose names the token cut.
        problems: takes what is wrong with certificates on the token, a sentence each.

    Raises:
        UsageError: an ambiguous selector or a bad template; CredentialNotFound: an unknown one.
        What listing raises. Refusals of single files are results, not errors.
    """
    if template is not None:
        filenames.check_template(template)
    rows = list_keys(
        session,
        any_rp=any_rp,
        only_token=True,
        application=application,
        named=selectors,
        search_home=search_home,
        certificates=[] if problems is None else problems,
    )
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
        certificate = _write_certificate(row, path)
    except Interrupted:  # of a question for the passphrase: it ends the command, not the file
        raise
    except FidokitError as error:
        return DownloadResult(row, path, row.public_line, error)
    return DownloadResult(row, path, line, certificate=certificate)


def _write_certificate(row: KeyRow, path: Path) -> Path | None:
    """The certificate of a key that was just written, the one that is valid longest."""
    if not row.certificates:
        return None
    line = certificate_line(usable_longest(row.certificates), printable(row.comment))
    atomic.write_new(certificate_beside(path), line, atomic.PUBLIC_MODE)
    return certificate_beside(path)


def certificate_beside(path: Path) -> Path:
    """Where ssh looks for the certificate of a private key file."""
    return path.with_name(f"{path.name}-cert.pub")


def _write_one(row: KeyRow, path: Path, passphrase: PassphraseSource | None, rounds: int) -> str:
    from fidokit.openssh.keys.private import PrivateFile, encode_private

    held = credential_of(row)
    if held.public is None or held.private is None:
        raise not_for_ssh(row)
    try:
        beside = [certificate_beside(path)] if row.certificates else []
        check_free(path, public_path(path), *beside)
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


def not_for_ssh(row: KeyRow) -> Unsupported:
    """Why a credential of the token cannot be an SSH key file."""
    if row.application_cut:
        return Unsupported(
            f"the token cut the application of this key to {row.application!r}",
            hint="give it whole: fidokit key download --application ssh:NAME; the .pub file of "
            "the key, or who made it, has it",
        )
    if not row.application.startswith("ssh:"):
        return Unsupported(
            f"the credential of {row.application!r} is {row.other_type}, which OpenSSH does not "
            "know",
            hint="it belongs to a website; leave it there",
        )
    return Unsupported(
        f"the key for {row.application!r} is of type {row.other_type}, which SSH does not have",
        hint="make one that SSH has with `fidokit key generate`",
    )


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


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What became of one key that was to be deleted: gone, or still there (`error` says why).

    Attributes:
        row: the key.
        error: None if it was deleted.
        still_signs: whether the token was seen to sign with it afterwards, for whoever has its
            file; such a token forgets a key only in a reset.
    """

    row: KeyRow
    error: FidokitError | None = None
    still_signs: bool = False


def delete_keys(
    session: Session, rows: Iterable[KeyRow], *, any_rp: bool = False
) -> Iterator[DeleteResult]:
    """Remove resident keys from the token, one result a key as it is done; local files stay.

    Iterate to the end: keys are deleted as the iterator advances. A key that cannot be deleted
    does not stop the others; after an error that concerns them too, they are not tried.
    """
    from fidokit.client.credentials.resident import HOPELESS

    hopeless: FidokitError | None = None
    for row in rows:
        if hopeless is not None:
            yield DeleteResult(row, NotTried("not tried after the error before"))
            continue
        result = _deleted(session, row, any_rp)
        hopeless = result.error if isinstance(result.error, HOPELESS) else None
        yield result


def _deleted(session: Session, row: KeyRow, any_rp: bool) -> DeleteResult:
    try:
        return DeleteResult(row, still_signs=delete_key(session, row, any_rp=any_rp))
    except FidokitError as error:
        return DeleteResult(row, error)


def delete_key(session: Session, row: KeyRow, *, any_rp: bool = False) -> bool:
    """Remove a resident key from the token; local files stay.

    Returns whether the token still signs with it, as `DeleteResult.still_signs`.

    Raises:
        UsageError: it is a website's credential and `any_rp` is not given.
        CredentialNotFound: the row is not on the token, or not any more.
    """
    from fidokit.client.credentials import resident

    credential = credential_of(row)
    resident.delete(session, credential, any_rp=any_rp)
    try:
        return resident.signs_still(session, credential)
    except FidokitError:
        return False  # it is deleted, whatever becomes of the question


def rename_key(
    session: Session,
    row: KeyRow,
    *,
    comment: str | None = None,
    user_name: str | None = None,
    any_rp: bool = False,
) -> str:
    """Change the comment, or the displayed user name, that the token stores with a resident key.

    The key, its application and its user id stay, so files and `ssh-keygen -K` are not affected.
    Returns the comment as the token kept it: some shorten or drop it.

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
    name = held.user_name if user_name is None else user_name
    return resident.rename(session, held, name, display).comment
