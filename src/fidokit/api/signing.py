"""Signing with a key on a token, and verifying, in OpenSSH's SSHSIG format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fidokit.token.ports import QUIET, Backend, Interaction

if TYPE_CHECKING:
    from fidokit.token.session import Session


@contextmanager
def token_for_key(
    key: Path,
    interaction: Interaction = QUIET,
    *,
    selector: str | None = None,
    spend_last_try: bool = False,
    passphrase: Callable[[], bytes] | None = None,
    backends: Sequence[Backend] | None = None,
) -> Iterator[Session]:
    """Open the token that holds the key of a private key file.

    With a selector that token is taken; else each token at hand is asked silently.

    Raises:
        TokenNotFound when no token at hand holds it.
    """
    raise NotImplementedError
    yield


def sign(
    session: Session,
    key: Path,
    message: bytes,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
    passphrase: Callable[[], bytes] | None = None,
) -> str:
    """Sign a message; returns the armoured signature (PROTOCOL.sshsig).

    Args:
        namespace: what the signature is for, not empty.
        hash_name: "sha512" or "sha256".
    """
    raise NotImplementedError


def sign_file(
    session: Session,
    key: Path,
    file: Path,
    *,
    namespace: str = "file",
    hash_name: str = "sha512",
    passphrase: Callable[[], bytes] | None = None,
    force: bool = False,
) -> Path:
    """Sign a file of any size; writes and returns `FILE.sig`, as `ssh-keygen -Y sign`.

    Raises:
        WouldOverwrite when `FILE.sig` exists and `force` is not given (before any touch).
    """
    raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Verified:
    """A good signature: by which key, for which principals, and what the person did.

    Attributes:
        principal: the allowed signer it was checked against; "" for a bare public key.
        touched, verified: the token's flags, for sk keys; None for ordinary keys.
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
) -> Verified:
    """Verify an SSHSIG signature against one public key, or an allowed_signers file.

    Args:
        message: bytes, or the file's path.
        principal: with allowed_signers: who must have signed; None finds who did.

    Raises:
        SignatureInvalid, MalformedKey, MalformedFile, UsageError (not exactly one of the two).
    """
    raise NotImplementedError
