"""SSHSIG signatures: made, and verified, as `ssh-keygen -Y sign`, `-Y verify` and relatives do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from fidokit.errors import MalformedFile, SignatureInvalid, TokenMisbehaved, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.foreign_formats import require_own_form
from fidokit.files.keyfile import check_free, pieces, read_bounded
from fidokit.files.scan import read_key
from fidokit.openssh.certificates import krl
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys import fingerprint
from fidokit.openssh.lines import allowed_signers as signers
from fidokit.openssh.lines.options import parse_time
from fidokit.openssh.signatures import sshsig
from fidokit.openssh.signatures.signature import PlainSignature
from fidokit.signing.signers import Signer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fidokit.openssh.lines.allowed_signers import Entry, Note
    from fidokit.openssh.signatures.sshsig import SshSig


_HEAD: Final = 64
"""Bytes by which a file of another form is told."""
MAX_SIGNATURE: Final = 1 << 20
"""Bytes; a signature file has under 1 KB, one by a certificate some 3 KB."""

Message = bytes | Path | BinaryIO
"""What was signed: itself, its file, or a stream that gives it."""


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A good signature: by which key, for which principals, and what the user did.

    Attributes:
        type_label: the key's type as ssh-keygen names it; with `-CERT` where a certificate signed.
        principal: the allowed signer it was checked against; "" for a bare public key.
        touched, verified: the token's flags, for sk keys; None for ordinary keys.
        counter: the token's signature counter; None for ordinary keys.
        key_line: type and base64 of the key or certificate that signed.
    """

    fingerprint: str
    type_label: str
    namespace: str
    principal: str = ""
    touched: bool | None = None
    verified: bool | None = None
    counter: int | None = None
    key_line: str = ""


def verify_signature(
    message: Message,
    signature: str | bytes | Path,
    *,
    public_key: Path | None = None,
    allowed_signers: Path | None = None,
    principal: str | None = None,
    namespace: str = "file",
    revoked_keys: Path | None = None,
    at: int | None = None,
    note: Note = signers.no_note,
) -> VerifiedSignature:
    """Verify an SSHSIG signature against one public key, or an allowed_signers file.

    Args:
        message: bytes, the file's path, or a stream.
        signature: the armored text, or the file's path.
        public_key: a public or private key file.
        principal: with allowed_signers: who must have signed; None finds who did.
        revoked_keys: a revocation list or a list of public keys; none of them may have signed.
        at: the time that counts for validity, seconds since 1970; now when None.
        note: is given number and fault of each line of the allowed signers that is passed over.

    Raises:
        SignatureInvalid, MalformedKey, MalformedFile, UsageError (not exactly one of the two).
    """
    if (public_key is None) == (allowed_signers is None):
        raise UsageError("name either a public key or an allowed signers file to verify against")
    made = _checked(message, signature, namespace)
    if revoked_keys is not None:
        _check_revoked(made, revoked_keys)
    if public_key is not None:
        _check_key(made, public_key)
        signer = ""
    else:
        signer = _check_signer(made, Path(allowed_signers or ""), principal, _moment(at), note)
    return _verified(made, signer)


def check_signature(
    message: Message, signature: str | bytes | Path, *, namespace: str = "file"
) -> VerifiedSignature:
    """Verify that a signature is one over the message; says nothing of who may sign.

    As `ssh-keygen -Y check-novalidate`.

    Args:
        message: bytes, the file's path, or a stream.
        signature: the armored text, or the file's path.
        namespace: what the signature has to be for.

    Raises:
        SignatureInvalid: it is not; or its certificate is not signed by the authority it names.
        MalformedKey: it is not a signature. NoPermission, FidokitError: a file cannot be read.
    """
    return _verified(_checked(message, signature, namespace), "")


def find_principals(
    signature: str | bytes | Path,
    allowed_signers: Path,
    *,
    at: int | None = None,
    note: Note = signers.no_note,
) -> tuple[str, ...]:
    """Whom the signature's key may sign for; empty for a stranger. The message is not looked at.

    As `ssh-keygen -Y find-principals`.

    Args:
        at: the time that counts for validity, seconds since 1970; now when None.
    """
    key = sshsig.parse_signer(_blob(signature))
    return signers.find_principals(_entries(allowed_signers), key, at=_moment(at), note=note)


def match_principals(
    allowed_signers: Path, principal: str, *, note: Note = signers.no_note
) -> tuple[str, ...]:
    """The principals fields of the lines about somebody, as `ssh-keygen -Y match-principals`.

    Args:
        note: is given number and fault of the line that ends the search.

    Raises:
        MalformedFile: such a line.
    """
    return signers.match_principals(_entries(allowed_signers), principal, note=note)


def verify_time(text: str) -> int:
    """Seconds since 1970 of `YYYYMMDD[HHMM[SS]][Z]`, ssh-keygen's -Overify-time.

    Raises:
        UsageError: no such time, or the very first second, which ssh-keygen refuses.
    """
    try:
        moment = parse_time(text)
    except MalformedFile as error:
        raise UsageError(error.message, hint=error.hint) from None
    if moment == 0:
        raise UsageError("the time of a signature cannot be the start of 1970")
    return moment


# --- steps ---------------------------------------------------------------------------------


def _moment(at: int | None) -> int:
    return int(time.time()) if at is None else at


def _blob(signature: str | bytes | Path) -> bytes:
    if isinstance(signature, Path):
        signature = read_bounded(signature, MAX_SIGNATURE)
    return sshsig.dearmored(signature.encode() if isinstance(signature, str) else signature)


def _parts(message: Message) -> Iterable[bytes]:
    return [message] if isinstance(message, bytes) else pieces(message)


def _checked(message: Message, signature: str | bytes | Path, namespace: str) -> SshSig:
    made = sshsig.parse_sshsig(_blob(signature))
    parts = _parts(message)
    sshsig.verify_digest(made, sshsig.digest(made.hash_alg, parts), namespace)
    return made


def _check_revoked(made: SshSig, path: Path) -> None:
    why = krl.file_revocation(read_bounded(path, krl.MAX_KRL), made.public)
    if why is not None:
        raise SignatureInvalid(
            f"the signature is good, but {why} ({path})",
            hint="ask the signer to sign with another key",
        )


def _check_key(made: SshSig, public_key: Path) -> None:
    line, _ = read_key(public_key)
    if line.key != made.signing_key:
        raise SignatureInvalid(
            f"the signature is good, but by another key "
            f"({fingerprint.sha256(made.signing_key.blob())}) than the one in {public_key}",
            hint="ask the signer which key it was",
        )


def _entries(path: Path) -> Iterator[Entry]:
    with explained(path), path.open("rb") as file:
        require_own_form(path, file.read(_HEAD))
        file.seek(0)
        yield from signers.parse_file(file)


def _check_signer(made: SshSig, path: Path, principal: str | None, at: int, note: Note) -> str:
    if principal is None:
        names = signers.find_principals(_entries(path), made.public, at=at, note=note)
        if not names:
            raise SignatureInvalid(
                f"the signature is good, but {path} does not know its key",
                hint="add the key to the file, if you trust it",
            )
        principal = names[0]
    signers.check(
        _entries(path),
        made.public,
        principal=principal,
        namespace=made.namespace,
        at=at,
        note=note,
    )
    return principal


def _verified(made: SshSig, principal: str) -> VerifiedSignature:
    import base64

    key = made.signing_key
    suffix = "-CERT" if isinstance(made.public, Certificate) else ""
    said = None if isinstance(made.signature, PlainSignature) else made.signature
    return VerifiedSignature(
        fingerprint=fingerprint.sha256(key.blob()),
        type_label=key.short_type + suffix,
        namespace=made.namespace,
        principal=principal,
        touched=said.user_present if said else None,
        verified=said.user_verified if said else None,
        counter=said.counter if said else None,
        key_line=f"{made.public.type_name} {base64.b64encode(made.public.blob()).decode()}",
    )


# --- signing ---------------------------------------------------------------------------------


def sign_message(
    signer: Signer,
    message: Message,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
) -> str:
    """Sign a message, whoever the signer is; returns the armored signature.

    Args:
        signer: from `open_signer`.
        message: bytes, a file's path, or an open binary stream, which is read to its end.
        namespace: what the signature is for, not empty.
        hash_name: "sha512" or "sha256".

    Raises:
        UsageError: an empty namespace, or another hash; and what the signer raises.
        TokenMisbehaved: what it made does not verify.
    """
    return _sign_digest(signer, sshsig.digest(hash_name, _parts(message)), namespace, hash_name)


def sign_file(
    signer: Signer,
    file: Path,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
    force: bool = False,
) -> Path:
    """Sign a file of any size; writes and returns `FILE.sig`, as `ssh-keygen -Y sign`.

    Args:
        signer: from `open_signer`.
        file: what is signed.
        namespace: what the signature is for, not empty.
        hash_name: "sha512" or "sha256".
        force: replace a `FILE.sig` that is there.

    Raises:
        WouldOverwrite: `FILE.sig` exists, and `force` is not given; before any touch.
        UsageError: an empty namespace, or another hash; and what the signer raises.
        TokenMisbehaved: what it made does not verify.
    """
    target = file.with_name(file.name + ".sig")
    check_free(target, force=force)
    text = sign_message(signer, file, namespace=namespace, hash_name=hash_name)
    write = atomic.replace if force else atomic.write_new
    write(target, text.encode(), atomic.PUBLIC_MODE)
    return target


def _sign_digest(signer: Signer, digest: bytes, namespace: str, hash_name: str) -> str:
    message = sshsig.to_be_signed(namespace, hash_name, digest)
    made = sshsig.SshSig(signer.public, namespace, hash_name, signer.sign(message))
    try:
        sshsig.verify_digest(made, digest, namespace)
    except SignatureInvalid:
        raise TokenMisbehaved(
            f"{signer.name} made a signature that does not verify",
            hint="try again; if it fails again, the token or the key file is damaged",
        ) from None
    return made.armor().decode("ascii")
