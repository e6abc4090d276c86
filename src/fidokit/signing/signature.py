"""Signing in OpenSSH's SSHSIG format, as `ssh-keygen -Y sign`; verifying is `verifying`'s."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.errors import SignatureInvalid, TokenMisbehaved
from fidokit.signing.signers import Signer, TokenSigner

if TYPE_CHECKING:
    from fidokit.client.session import Session
    from fidokit.openssh.keys.private import PrivateFile


def sign(
    session: Session,
    key: PrivateFile,
    message: bytes,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
) -> str:
    """Sign a message by a key on a token; returns the armored signature (PROTOCOL.sshsig).

    Args:
        key: from `open_key`.
        namespace: what the signature is for, not empty.
        hash_name: "sha512" or "sha256".

    Raises:
        CredentialNotFound: this token does not hold the key.
        PinError, TouchRefused, TouchTimedOut, UsageError.
    """
    signer = TokenSigner(session, key)
    return sign_by(signer, [message], namespace=namespace, hash_name=hash_name)


def sign_by(
    signer: Signer,
    message: Iterable[bytes],
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
) -> str:
    """Sign a message, whoever the signer is; returns the armored signature.

    Args:
        signer: from `open_signer`.
        message: in pieces, such as `pieces` of a file.
        namespace: what the signature is for, not empty.
        hash_name: "sha512" or "sha256".

    Raises:
        UsageError: an empty namespace, or another hash; and what the signer raises.
        TokenMisbehaved: what it made does not verify.
    """
    from fidokit.openssh.signatures import sshsig

    return _sign_digest(signer, sshsig.digest(hash_name, message), namespace, hash_name)


def sign_file(
    session: Session,
    key: PrivateFile,
    file: Path,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
    force: bool = False,
) -> Path:
    """Sign a file of any size by a key on a token; writes and returns `FILE.sig`.

    Raises: as `sign_file_by`, and what `sign` raises.
    """
    signer = TokenSigner(session, key)
    return sign_file_by(signer, file, namespace=namespace, hash_name=hash_name, force=force)


def sign_file_by(
    signer: Signer,
    file: Path,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
    force: bool = False,
) -> Path:
    """Sign a file of any size; writes and returns `FILE.sig`, as `ssh-keygen -Y sign`.

    Raises:
        WouldOverwrite when `FILE.sig` exists and `force` is not given (before any touch); and
        what `sign_by` raises.
    """
    from fidokit.files import atomic
    from fidokit.files.keyfile import check_free
    from fidokit.files.pieces import pieces

    target = file.with_name(file.name + ".sig")
    check_free(target, force=force)
    text = sign_by(signer, pieces(file), namespace=namespace, hash_name=hash_name)
    write = atomic.replace if force else atomic.write_new
    write(target, text.encode(), atomic.PUBLIC_MODE)
    return target


def _sign_digest(signer: Signer, digest: bytes, namespace: str, hash_name: str) -> str:
    from fidokit.openssh.signatures import sshsig

    message = sshsig.to_be_signed(namespace, hash_name, digest)
    made = sshsig.SshSig(signer.public, namespace, hash_name, signer.sign(message))
    try:
        sshsig.verify_digest(made, digest, namespace)
    except SignatureInvalid:
        raise TokenMisbehaved(
            f"{signer.name} made a signature that does not verify",
            hint="try again; if it stays so, the token or the key file is damaged",
        ) from None
    return made.armor().decode("ascii")
