"""Making a key on a token and writing its files, so that neither is lost without the other."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.client.credentials import enrollment, resident
from fidokit.errors import FidokitError, UsageError
from fidokit.files import atomic, keyfile
from fidokit.files.keyfile import (
    check_pair_free,
    mode_warnings,
    public_path,
    read_bounded,
    write_pair,
)
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.keys.container import Bcrypt
from fidokit.openssh.keys.private import PrivateFile, SkPrivate, encode_private
from fidokit.openssh.keys.public import PublicLine, check_comment
from fidokit.types import Application, CredentialId, KeyType, PassphraseSource, SkFlag

if TYPE_CHECKING:
    from fidokit.client.credentials.enrollment import Enrolled, Enrollment
    from fidokit.client.session import Session


MAX_CHALLENGE: Final = 1 << 20
"""Bytes of a challenge file; only its SHA-256 reaches the token."""


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """What `key generate` is asked for.

    Attributes:
        path: private key file; None is `~/.ssh/id_ed25519_sk` or `~/.ssh/id_ecdsa_sk`.
        application: must start with `ssh:` unless `allow_any_application`.
        user: at most 31 bytes of UTF-8; tells resident keys of one application apart.
        comment: of the public line; None is user@host.
        challenge_file: its bytes are the enrollment challenge; None is 32 random bytes.
        attestation_file: where to write the attestation blob; must be free as well.
        force: replace files that are in the way.
        replace: replace a resident credential with the same application and user.
        rounds: bcrypt rounds of the passphrase.
        large_blob: let the resident key have a blob beside it, see `keys.blobs.set_blob`.
        or_types: further key types that will do, for a token that does not tell which it makes;
            without a `path` the file is named by the type that it made.
        enterprise: ask for an enterprise attestation: 1 as its maker decided, 2 as whoever manages
            this machine wants it; None for the ordinary one.
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
    large_blob: bool = False
    or_types: tuple[KeyType, ...] = ()
    enterprise: int | None = None


@dataclass(frozen=True, slots=True)
class GeneratedKey:
    """A key that was made and written.

    Attributes:
        public_line: what goes into authorized_keys, without newline.
        randomart: the picture that ssh-keygen shows, eleven lines.
        challenge: what the attestation signs; it cannot be verified without.
        warnings: sentences for the user (such as a folder that others may write to).
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
    challenge: bytes = b""
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


def generate_key(
    session: Session, request: GenerateRequest, *, passphrase: PassphraseSource | None = None
) -> GeneratedKey:
    """Make a key on the token and write its two files.

    Order: what needs no token is checked first (application, user, paths), then what the token
    can do, then the passphrase is asked, then the token is touched, then the files are written.

    Raises:
        FileInTheWay: files are in the way, and `force` is not given; nothing was changed.
        CredentialInTheWay: a resident credential of the same application and user is, and
            `replace` is not given; nothing was changed.
        WouldOverwrite: what is in the way cannot be replaced (a symbolic link, a folder).
        OrphanedCredential: the key was made but not written.
        Unsupported, StoreFull, PinNotSet, PinError, TouchRefused, TouchTimedOut, UsageError.
    """
    plan = _plan(request)
    enrollment.check_token(session, plan.enrollment)
    secret = passphrase(plan.path) if passphrase else None
    made = enrollment.enroll(session, plan.enrollment)
    plan = _as_made(plan, made)
    orphan = _orphan(plan, made, b"")
    try:
        orphan = replace(orphan, private=_encode(plan, made, secret))
        _write(plan, made, orphan)
    except (FidokitError, KeyboardInterrupt) as error:
        raise _orphaned(orphan, plan.path, error) from error
    return _generated(plan, made, orphan)


def key_types(sessions: Sequence[Session], name: str | None = None) -> list[KeyType]:
    """The key types that will do for all of these tokens, the preferred one first.

    Args:
        sessions: the tokens. One that does not tell what it makes may have both.
        name: the only type that is wished; None for the best.
    """
    if name is not None:
        return [KeyType(name)]
    told = [session.info.supports(KeyType.ED25519_SK) for session in sessions]
    if False in told:
        return [KeyType.ECDSA_SK]
    return [KeyType.ED25519_SK] if all(told) else [KeyType.ED25519_SK, KeyType.ECDSA_SK]


def warning_before(request: GenerateRequest) -> str | None:
    """What is worth knowing before the touch, in a sentence for the user; None: nothing."""
    return enrollment.long_application(request.application) if request.resident else None


def check(session: Session, request: GenerateRequest) -> None:
    """What `generate_key` would check before it asks anybody for anything. Raises as it."""
    enrollment.check_token(session, _plan(request).enrollment)


@dataclass(frozen=True, slots=True)
class _Plan:
    """A request with its defaults filled in, checked as far as that goes without a token."""

    request: GenerateRequest
    path: Path
    comment: str
    enrollment: Enrollment


def _plan(request: GenerateRequest) -> _Plan:
    who = user_at_host()
    comment = who if request.comment is None else request.comment
    wanted = enrollment.Enrollment(
        key_type=request.key_type,
        application=Application(request.application),
        user=request.user,
        resident=request.resident,
        verify_required=request.verify_required,
        touch_required=request.touch_required,
        challenge=_challenge(request),
        user_name=who,
        comment=comment,
        replace=request.replace,
        allow_any_application=request.allow_any_application,
        large_blob=request.large_blob,
        or_types=request.or_types,
        enterprise=request.enterprise,
    )
    enrollment.check_request(wanted)
    check_comment(comment, forbidden="\r\n\0")
    Bcrypt.fresh(request.rounds, os.urandom)  # refuses impossible rounds before a touch, not after
    return _Plan(request, _free_path(request), comment, wanted)


def _challenge(request: GenerateRequest) -> bytes | None:
    if request.challenge_file is None:
        return None
    challenge = read_bounded(request.challenge_file, MAX_CHALLENGE)
    if not challenge:
        raise UsageError(
            f"the challenge file {request.challenge_file} is empty",
            hint="put the bytes in it that whoever verifies the attestation gave you",
        )
    return challenge


def _free_path(request: GenerateRequest) -> Path:
    kinds = (request.key_type, *request.or_types)
    paths = [request.path] if request.path else [keyfile.default_path(kind) for kind in kinds]
    keyfile.ensure_ssh_folder(paths[0])
    others = [request.attestation_file] if request.attestation_file else []
    pairs = [file for path in paths for file in (path, keyfile.public_path(path))]
    keyfile.check_free(*pairs, *others, force=request.force)
    return paths[0]


def _as_made(plan: _Plan, made: Enrolled) -> _Plan:
    """The plan for the type of key that the token chose among those offered."""
    kind = made.public.key_type
    path = plan.request.path or keyfile.default_path(kind)
    return replace(plan, request=replace(plan.request, key_type=kind), path=path)


def user_at_host() -> str:
    """The comment that ssh-keygen would give: user@host."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container whose user id has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _orphan(plan: _Plan, made: Enrolled, private: bytes) -> Orphan:
    return Orphan(
        credential_id=CredentialId(made.key_handle),
        application=plan.request.application,
        user=plan.request.user,
        resident=plan.request.resident,
        fingerprint=fingerprint.sha256(made.public.blob()),
        private=private,
        public_line=PublicLine(made.public, plan.comment).encode(),
        comment=plan.comment,
    )


def _private_file(plan: _Plan, made: Enrolled) -> PrivateFile:
    return PrivateFile(SkPrivate(made.public, made.flags, made.key_handle), plan.comment)


def _encode(plan: _Plan, made: Enrolled, secret: bytes | None) -> bytes:
    return encode_private(
        _private_file(plan, made), passphrase=secret or None, rounds=plan.request.rounds
    )


def _write(plan: _Plan, made: Enrolled, orphan: Orphan) -> None:
    """The attestation first: it cannot be had again, while an unwritten key is still an orphan."""
    request = plan.request
    if request.attestation_file:
        write = atomic.replace if request.force else atomic.write_new
        write(request.attestation_file, made.attestation.blob(), atomic.PUBLIC_MODE)
    try:
        keyfile.write_pair(plan.path, orphan.private, orphan.public_line, force=request.force)
    except BaseException:
        # of a key that is nowhere, it would only be in the way of the next one
        if request.attestation_file and not orphan.resident and not request.force:
            request.attestation_file.unlink(missing_ok=True)
        raise


def _orphaned(orphan: Orphan, path: Path, error: BaseException) -> OrphanedCredential:
    why = error.message if isinstance(error, FidokitError) else "interrupted"
    what = f"the key was made, but not written to {path}: {why}"
    if not orphan.resident:
        return OrphanedCredential(
            what,
            orphan=orphan,
            hint="nothing of it stays on the token; fix the cause and create another one",
        )
    user = f", user {orphan.user!r}" if orphan.user else ""
    return OrphanedCredential(
        f"{what}; the token still holds it (application {orphan.application!r}{user}, "
        f"credential {orphan.credential_id.hex()[:16]})",
        orphan=orphan,
        hint=f"write it with `fidokit key download {orphan.fingerprint}`, or remove it with "
        f"`fidokit key delete {orphan.fingerprint}`",
    )


def _generated(plan: _Plan, made: Enrolled, orphan: Orphan) -> GeneratedKey:
    request, key = plan.request, made.public
    title = fingerprint.randomart_title(key.short_type, key.bits)
    return GeneratedKey(
        path=plan.path,
        public_path=public_path(plan.path),
        public_line=orphan.public_line,
        fingerprint=orphan.fingerprint,
        randomart=fingerprint.randomart(key.blob(), title),
        key_type=request.key_type,
        application=request.application,
        user=request.user,
        comment=plan.comment,
        resident=request.resident,
        verify_required=SkFlag.USER_VERIFICATION_REQUIRED in made.flags,
        touch_required=SkFlag.USER_PRESENCE_REQUIRED in made.flags,
        attestation_path=request.attestation_file,
        challenge=made.challenge,
        warnings=(*mode_warnings(plan.path), *_unproved(request, made)),
    )


def _unproved(request: GenerateRequest, made: Enrolled) -> tuple[str, ...]:
    """What the attestation does not prove, where somebody asked for one."""
    asked = request.attestation_file is not None or request.enterprise is not None
    return made.unproved if asked else ()


def save_orphan(orphan: Orphan, path: Path) -> Path:
    """Write an orphan's files at another path. Returns the private file's path.

    Raises:
        WouldOverwrite, NoPermission, FidokitError: that fails too.
    """
    check_pair_free(path)
    write_pair(path, orphan.private, orphan.public_line)
    return path


def delete_orphan(session: Session, orphan: Orphan) -> bool:
    """Remove the orphan from the token. False when it was not resident: nothing is there.

    Raises:
        PinError, Unsupported: as other deletions.
    """
    if not orphan.resident:
        return False
    application = Application(orphan.application)
    any_rp = not orphan.application.startswith("ssh:")
    held = resident.list_credentials(session, application=application, any_rp=any_rp)
    mine = [found for found in held if found.credential_id == orphan.credential_id]
    for credential in mine:
        resident.delete(session, credential, any_rp=any_rp)
    return bool(mine)
