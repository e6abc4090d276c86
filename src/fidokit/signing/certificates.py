"""Certificates: issued by a key on a token, in a file or in the agent; and shown."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.errors import (
    MalformedKey,
    SignatureInvalid,
    TokenMisbehaved,
    Unsupported,
    UsageError,
)
from fidokit.files import atomic
from fidokit.files.keyfile import check_free
from fidokit.keys.holder import read_named
from fidokit.keys.stored_certificates import (
    FOLDER_HINT,
    certificate_line,
    require_user_certificate,
    store_certificate,
)
from fidokit.openssh.certificates.certificate import (
    MAX_PRINCIPALS,
    Certificate,
    CertificateBody,
    CertKind,
    describe,
    encode_tbs,
    lines,
    require_trustworthy,
    verify_signature,
)
from fidokit.openssh.certificates.options import ALWAYS, options_of, parse_validity
from fidokit.openssh.certificates.options import option_names as option_names  # noqa: PLC0414

if TYPE_CHECKING:
    from pathlib import Path

    from fidokit.client.session import Session
    from fidokit.openssh.certificates.certificate import CertificateFacts, CertOption
    from fidokit.openssh.keys.public import PublicKey
    from fidokit.signing.signers import Signer

MAX_SERIAL: Final = (1 << 64) - 1
NONCE: Final = 32
"""Bytes of chance that make each certificate another, as OpenSSH has it."""


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """What a certificate is to say; made by `certificate_request`, which checks it.

    Args:
        validity: from when and until when, seconds since 1970.
    """

    key_id: str
    kind: CertKind
    principals: tuple[str, ...]
    validity: tuple[int, int]
    critical_options: tuple[CertOption, ...]
    extensions: tuple[CertOption, ...]


@dataclass(frozen=True, slots=True)
class IssuedCertificate:
    """A certificate in its file."""

    path: Path
    certificate: Certificate
    facts: CertificateFacts


def certificate_request(
    key_id: str,
    *,
    host: bool = False,
    principals: str | None = None,
    validity: str | None = None,
    options: Iterable[str] = (),
    now: int | None = None,
) -> CertificateRequest:
    """What a certificate is to say, in ssh-keygen's words.

    Args:
        key_id: what sshd logs (-I).
        host: a host certificate (-h).
        principals: user or host names with commas between (-n); None for none.
        validity: such as `+52w` or `-1d:+52w` (-V); None for always.
        options: such as `no-pty` (-O).
        now: seconds since 1970; the present when None.

    Raises:
        UsageError: something of it is not valid.
    """
    kind = CertKind.HOST if host else CertKind.USER
    moment = int(time.time()) if now is None else now
    critical, extensions = options_of(options, kind)
    _check_text("the key id", key_id)
    return CertificateRequest(
        key_id=key_id,
        kind=kind,
        principals=_principals(principals),
        validity=ALWAYS if validity is None else parse_validity(validity, moment),
        critical_options=critical,
        extensions=extensions,
    )


def _check_text(what: str, text: str) -> None:
    try:
        fits = "\0" not in text and text.encode() is not None
    except UnicodeEncodeError:
        fits = False
    if not fits:
        raise UsageError(f"{what} holds a NUL or bytes that are not UTF-8", hint="use other words")


def _principals(listed: str | None) -> tuple[str, ...]:
    if listed is None:
        return ()
    names = tuple(listed.split(","))
    _check_text("a principal", listed)
    if "" in names:
        raise UsageError("a principal has no name", hint="separate names by one comma")
    if len(names) > MAX_PRINCIPALS:
        raise UsageError(
            f"{len(names)} principals are more than {MAX_PRINCIPALS}",
            hint="OpenSSH reads no more; issue several certificates",
        )
    return names


# --- issuing -------------------------------------------------------------------------------


def issue_certificate(
    signer: Signer,
    public: Path,
    request: CertificateRequest,
    *,
    serial: int = 0,
    force: bool = False,
) -> IssuedCertificate:
    """Issue a certificate for a public key file; writes `NAME-cert.pub` beside `NAME.pub`.

    Args:
        signer: the authority, from `open_signer`.
        public: the key's file.
        serial: the certificate's number, 0 to 2**64 - 1.
        force: replace a certificate that is there.

    Raises:
        WouldOverwrite: before anything is signed.
        UsageError: the key is a certificate, or the authority is named by one.
        TokenMisbehaved: what the signer made does not verify; and what it raises.
    """
    if not 0 <= serial <= MAX_SERIAL:
        raise UsageError(f"{serial} is not a serial number", hint="use 0 to 2**64 - 1")
    key, comment = _subject(public)
    path = certificate_path(public)
    check_free(path, force=force)
    made = certify(signer, key, request, serial)
    write = atomic.replace if force else atomic.write_new
    write(path, certificate_line(made, comment), atomic.PUBLIC_MODE)
    return IssuedCertificate(path, made, describe(made))


def certify(
    signer: Signer, key: PublicKey, request: CertificateRequest, serial: int
) -> Certificate:
    """A certificate for a public key, in no file.

    Args:
        signer: the authority, from `open_signer`.
        key: whose certificate it is.
        request: what it says.
        serial: its number, 0 to 2**64 - 1.

    Raises:
        UsageError: the authority is named by a certificate.
        TokenMisbehaved: what the signer made does not verify; and what it raises.
    """
    return _sign(signer, _body(signer, key, request, serial))


@dataclass(frozen=True, slots=True)
class KeptCertificate:
    """A certificate that was stored on a token.

    Attributes:
        path: the file it came from.
        fingerprint: of its key.
        token: the token's name.
    """

    path: Path
    key_id: str
    fingerprint: str
    application: str
    user: str
    token: str


def store_certificates(
    session: Session, files: Sequence[Path], *, force: bool = False
) -> list[KeptCertificate]:
    """Store certificates beside their keys on a token, each in the place of the one before.

    All files are read, and the owner is asked, before anything is changed.

    Args:
        files: certificates, as `ssh-keygen -s` and `issue_certificate` write them.
        force: replace a blob that is not a certificate.

    Raises:
        MalformedKey, SignatureInvalid, UsageError: a file is not a user certificate that holds.
        Unsupported, CredentialNotFound, WouldOverwrite, StoreFull, PinError: see
        `stored_certificates.store_certificate`. Those that were stored before it stay stored.
    """
    from fidokit.keys import blobs

    named = [(path, *_user_certificate(path)) for path in files]
    try:
        rows = blobs.changeable_keys(session)
    except Unsupported as error:
        raise Unsupported(error.message, hint=FOLDER_HINT) from None
    kept = []
    for path, certificate, comment in named:
        row = store_certificate(session, certificate, comment, rows, force=force)
        names = row.fingerprint, row.application, row.user, session.name
        kept.append(KeptCertificate(path, certificate.key_id, *names))
    return kept


def _user_certificate(path: Path) -> tuple[Certificate, str]:
    named = read_named(path)
    if not isinstance(named.key, Certificate):
        raise no_certificate(path)
    require_user_certificate(named.key)
    return named.key, named.comment


def certificate_path(public: Path) -> Path:
    """Where the certificate of a public key file goes: `NAME-cert.pub` for `NAME.pub`."""
    return public.with_name(f"{public.name.removesuffix('.pub')}-cert.pub")


def _subject(path: Path) -> tuple[PublicKey, str]:
    named = read_named(path)
    if isinstance(named.key, Certificate):
        raise UsageError(
            f"{path} is a certificate, which cannot be certified",
            hint="name the .pub file of its key",
        )
    return named.key, named.comment


def _body(
    signer: Signer, key: PublicKey, request: CertificateRequest, serial: int
) -> CertificateBody:
    if isinstance(signer.public, Certificate):
        raise UsageError(
            "the authority is named by a certificate, which OpenSSH does not take",
            hint="name the file of its key",
        )
    after, before = request.validity
    return CertificateBody(
        public=key,
        nonce=os.urandom(NONCE),
        serial=serial,
        kind=request.kind,
        key_id=request.key_id,
        principals=request.principals,
        valid_after=after,
        valid_before=before,
        critical_options=request.critical_options,
        extensions=request.extensions,
        signature_key=signer.public,
        reserved=b"",
    )


def _sign(signer: Signer, body: CertificateBody) -> Certificate:
    made = body.signed(signer.sign(encode_tbs(body)))
    try:
        verify_signature(made)
    except SignatureInvalid:
        raise TokenMisbehaved(
            f"{signer.name} made a signature that does not verify",
            hint="try again; if it fails again, the token or the key file is damaged",
        ) from None
    return made


# --- showing -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """A certificate whose signature holds; `lines` are ssh-keygen's, without the file's name."""

    path: Path
    certificate: Certificate
    facts: CertificateFacts
    lines: tuple[str, ...]


def no_certificate(path: Path) -> MalformedKey:
    """Why a plain key is refused where a certificate is wanted."""
    return MalformedKey(
        f"{path} is a plain public key and no certificate",
        hint="name its -cert.pub file, or show the key: fidokit key show",
    )


def show_certificate(path: Path) -> ShownCertificate:
    """What a certificate says, as `ssh-keygen -L`.

    Raises:
        MalformedKey: it is not a certificate.
        SignatureInvalid: it was not signed by the authority that it names.
    """
    key = read_named(path).key
    if not isinstance(key, Certificate):
        raise no_certificate(path)
    require_trustworthy(key)
    facts = describe(key)
    return ShownCertificate(path, key, facts, lines(facts))
