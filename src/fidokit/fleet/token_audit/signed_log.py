"""A log of audits: a line of JSON for each, and beside it a signature over the whole file.

`ssh-keygen -Y verify -n fidokit-audit -s FILE.sig` verifies it. Nothing is added to a log whose
signature does not hold: to sign it anew would vouch for whatever changed it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fidokit.errors import SignatureInvalid, UsageError
from fidokit.files import atomic
from fidokit.files.disk_errors import explained
from fidokit.files.keyfile import read_bounded
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys import fingerprint
from fidokit.signing.signatures import check_signature, sign_message

if TYPE_CHECKING:
    from fidokit.signing.signers import Signer

NAMESPACE: Final = "fidokit-audit"
"""What the signature is for; a signature for something else is not one of a log."""

MAX_LOG: Final = 1 << 26
PATIENCE_S: Final = 60.0
"""Seconds to wait for another process, which may wait for a touch."""


@dataclass(frozen=True, slots=True)
class LoggedAudit:
    """An entry that was added.

    Attributes:
        path: the log.
        signature: the file with its signature.
        signer: the fingerprint of the key that signed.
        entries: how many lines there are.
    """

    path: Path
    signature: Path
    signer: str
    entries: int


def append_entry(
    path: Path, entry: Mapping[str, object], signer: Signer, trusted: Collection[str]
) -> LoggedAudit:
    """Add a line to a log, and sign the whole.

    Args:
        path: the log; its signature is in `PATH.sig`.
        entry: plain JSON values.
        signer: who signs.
        trusted: fingerprints of the keys that may sign, and may have signed before.

    Raises:
        UsageError: the signer is not trusted.
        SignatureInvalid: what is there is not signed by a trusted key; nothing was changed.
        FidokitError: a file cannot be read or written; and what the signer raises.
    """
    key = signer.public.public if isinstance(signer.public, Certificate) else signer.public
    name = fingerprint.sha256(key.blob())
    if name not in trusted:
        raise UsageError(
            f"the policy does not let {name} sign the log",
            hint="name the key under signers in [audit-log], or sign with another one",
        )
    signature = path.with_name(f"{path.name}.sig")
    with _locked(path.parent):
        before = _verified(path, signature, trusted)
        after = before + json.dumps(entry).encode() + b"\n"
        if len(after) > MAX_LOG:
            raise UsageError(f"{path} has 64 MiB", hint="begin another log")
        text = sign_message(signer, after, namespace=NAMESPACE)
        atomic.replace(path, after)
        atomic.replace(signature, text.encode())
    return LoggedAudit(path, signature, name, after.count(b"\n"))


def _verified(path: Path, signature: Path, trusted: Collection[str]) -> bytes:
    """What is in a log, if a trusted key signed it; nothing if there is no log."""
    if not path.exists():
        if signature.exists():
            raise SignatureInvalid(
                f"{signature} is there, and its log {path} is not",
                hint=f"restore the log, or begin anew: mv {signature} {signature}.old",
            )
        return b""
    data = read_bounded(path, MAX_LOG)
    hint = (
        f"restore both files, or begin anew: mv {path} {path}.old; mv {signature} {signature}.old"
    )
    if not signature.exists():
        raise SignatureInvalid(f"{path} is not signed: there is no {signature}", hint=hint)
    try:
        made = check_signature(data, signature, namespace=NAMESPACE)
    except SignatureInvalid:
        raise SignatureInvalid(
            f"the signature of {path} does not hold: somebody changed it, or a run was interrupted",
            hint=f"look at its last line; after an interruption: sed -i '$ d' {path}",
        ) from None
    if made.fingerprint not in trusted:
        raise SignatureInvalid(
            f"{path} is signed by {made.fingerprint}, which the policy does not name", hint=hint
        )
    return data


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only process that adds to a log in a folder."""
    if sys.platform == "win32":  # there, the last of two writers at a time wins
        yield
        return
    from fidokit.server.locks import taken

    with explained(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        taken(descriptor, folder, PATIENCE_S)
        yield
    finally:
        os.close(descriptor)
