"""Signing with a key on a token, and verifying, in OpenSSH's SSHSIG format."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.errors import SignatureInvalid, TokenMisbehaved, UsageError
from fidokit.token.ports import QUIET, Backend, Interaction

if TYPE_CHECKING:
    from fidokit.openssh.private import PrivateFile
    from fidokit.openssh.sshsig import SshSig
    from fidokit.token.session import Session

BLOCK: Final = 1 << 20
"""Bytes of a file that are in memory at once."""

MAX_SIGNATURE: Final = 1 << 20
"""Bytes; a signature file has under 1 KB, one by a certificate some 3 KB."""


def open_key(path: Path, *, passphrase: Callable[[], bytes] | None = None) -> PrivateFile:
    """The private key in a file, for the functions below; asks for its passphrase at most once.

    Raises:
        MalformedKey (also for an ordinary key), PassphraseRequired, PassphraseWrong,
        NoPermission, UsageError (no regular file).
    """
    from fidokit.files.keyfile import read_private
    from fidokit.openssh.private import parse_private

    return parse_private(read_private(path), passphrase)


@contextmanager
def token_for_key(
    key: PrivateFile,
    interaction: Interaction = QUIET,
    *,
    selector: str | None = None,
    spend_last_try: bool = False,
    backends: Sequence[Backend] | None = None,
) -> Iterator[Session]:
    """Open the token that holds the key of a private key file.

    With a selector, or one configured, that token is taken; else each token at hand is asked
    silently, without touch or PIN.

    Args:
        key: from `open_key`.

    Raises:
        TokenNotFound: no token at hand holds it; and all that `open_token` raises.
    """
    from fidokit.api.backends import all_backends
    from fidokit.api.selection import configured_selector
    from fidokit.api.tokens import open_token
    from fidokit.token import discover

    selector = selector or configured_selector()
    if selector is not None:
        with open_token(
            selector, interaction, spend_last_try=spend_last_try, backends=backends
        ) as session:
            yield session
        return
    opener = discover.Opener(interaction, spend_last_try)
    where = all_backends(interaction) if backends is None else backends
    candidates = discover.in_order(where)
    handle, application = key.key.key_handle, key.key.public.application
    with discover.holder_of(handle, application, candidates, opener) as session:
        yield session


def sign(
    session: Session,
    key: PrivateFile,
    message: bytes,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
) -> str:
    """Sign a message; returns the armoured signature (PROTOCOL.sshsig).

    Args:
        key: from `open_key`.
        namespace: what the signature is for, not empty.
        hash_name: "sha512" or "sha256".

    Raises:
        CredentialNotFound: this token does not hold the key.
        PinError, TouchRefused, TouchTimedOut, UsageError.
    """
    from fidokit.openssh import sshsig

    return _sign_digest(session, key, sshsig.digest(hash_name, [message]), namespace, hash_name)


def sign_file(
    session: Session,
    key: PrivateFile,
    file: Path,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
    force: bool = False,
) -> Path:
    """Sign a file of any size; writes and returns `FILE.sig`, as `ssh-keygen -Y sign`.

    Raises:
        WouldOverwrite when `FILE.sig` exists and `force` is not given (before any touch); and
        what `sign` raises.
    """
    from fidokit.files import atomic
    from fidokit.files.keyfile import check_free
    from fidokit.openssh import sshsig

    target = file.with_name(file.name + ".sig")
    check_free(target, force=force)
    digest = sshsig.digest(hash_name, _blocks(file))
    text = _sign_digest(session, key, digest, namespace, hash_name)
    write = atomic.replace if force else atomic.write_new
    write(target, text.encode(), atomic.PUBLIC_MODE)
    return target


def _sign_digest(
    session: Session, key: PrivateFile, digest: bytes, namespace: str, hash_name: str
) -> str:
    from fidokit.openssh import sshsig
    from fidokit.token import sign as token_sign

    message = sshsig.to_be_signed(namespace, hash_name, digest)
    made = sshsig.SshSig(
        key.key.public, namespace, hash_name, token_sign.sign(session, key.key, message)
    )
    try:
        sshsig.verify_digest(made, digest, namespace)
    except SignatureInvalid:
        raise TokenMisbehaved(
            f"{session.name} made a signature that does not verify",
            hint="try again; if it stays so, the token or the key file is damaged",
        ) from None
    return made.armor().decode("ascii")


def _blocks(file: Path) -> Iterator[bytes]:
    from fidokit.files.disk_errors import explained

    with explained(file), file.open("rb") as stream:
        while block := stream.read(BLOCK):
            yield block


@dataclass(frozen=True, slots=True)
class Verified:
    """A good signature: by which key, for which principals, and what the person did.

    Attributes:
        principal: the allowed signer it was checked against; "" for a bare public key.
        touched, verified: the token's flags, for sk keys; None for ordinary keys.
        counter: the token's signature counter; None for ordinary keys.
    """

    fingerprint: str
    type_label: str
    namespace: str
    principal: str = ""
    touched: bool | None = None
    verified: bool | None = None
    counter: int | None = None


def verify(
    message: bytes | Path,
    signature: str | bytes | Path,
    *,
    public_key: Path | None = None,
    allowed_signers: Path | None = None,
    principal: str | None = None,
    namespace: str = "file",
    at: int | None = None,
) -> Verified:
    """Verify an SSHSIG signature against one public key, or an allowed_signers file.

    Args:
        message: bytes, or the file's path.
        signature: the armoured text, or the file's path.
        public_key: a public or private key file.
        principal: with allowed_signers: who must have signed; None finds who did.
        at: the time that counts for validity, seconds since 1970; now when None.

    Raises:
        SignatureInvalid, MalformedKey, MalformedFile, UsageError (not exactly one of the two).
    """
    from fidokit.openssh import sshsig

    if (public_key is None) == (allowed_signers is None):
        raise UsageError("name either a public key or an allowed signers file to verify against")
    made = sshsig.parse_armor(_armour(signature))
    pieces = [message] if isinstance(message, bytes) else _blocks(message)
    sshsig.verify_digest(made, sshsig.digest(made.hash_alg, pieces), namespace)
    if public_key is not None:
        _check_key(made, public_key)
        signer = ""
    else:
        moment = int(time.time()) if at is None else at
        signer = _check_signer(made, Path(allowed_signers or ""), principal, moment)
    return _verified(made, signer)


def _armour(signature: str | bytes | Path) -> bytes:
    from fidokit.files.keyfile import read_bounded

    if isinstance(signature, Path):
        return read_bounded(signature, MAX_SIGNATURE)
    return signature.encode() if isinstance(signature, str) else signature


def _check_key(made: SshSig, public_key: Path) -> None:
    from fidokit.files.scan import read_key
    from fidokit.openssh import fingerprint

    line, _ = read_key(public_key)
    if line.key != made.signing_key:
        raise SignatureInvalid(
            f"the signature is good, but by another key "
            f"({fingerprint.sha256(made.signing_key.blob())}) than the one in {public_key}",
            hint="ask the signer which key it was",
        )


def _check_signer(made: SshSig, path: Path, principal: str | None, at: int) -> str:
    from fidokit.files.disk_errors import explained
    from fidokit.openssh import allowed_signers

    with explained(path), path.open("rb") as file:
        entries = list(allowed_signers.parse_file(file))
    if principal is None:
        names = allowed_signers.find_principals(entries, made.public, at=at)
        if not names:
            raise SignatureInvalid(
                f"the signature is good, but {path} does not know its key",
                hint="add the key to the file, if you trust it",
            )
        principal = names[0]
    allowed_signers.check(
        entries, made.public, principal=principal, namespace=made.namespace, at=at
    )
    return principal


def _verified(made: SshSig, principal: str) -> Verified:
    from fidokit.openssh import fingerprint
    from fidokit.openssh.signature_blob import PlainSignature

    key = made.signing_key
    said = None if isinstance(made.signature, PlainSignature) else made.signature
    return Verified(
        fingerprint=fingerprint.sha256(key.blob()),
        type_label=key.short_type,
        namespace=made.namespace,
        principal=principal,
        touched=said.user_present if said else None,
        verified=said.user_verified if said else None,
        counter=said.counter if said else None,
    )
