"""Asks an allowed_signers file a question with two answers."""

from __future__ import annotations

from collections.abc import Iterable

from fidokit.errors import SignatureInvalid
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.public import PublicKey
from fidokit.openssh.lines.allowed_signers import Entry, check


def is_valid(
    entries: Iterable[Entry],
    key: PublicKey | Certificate,
    *,
    principal: str,
    namespace: str,
    at: int,
) -> bool:
    """Whether `check` finds a line."""
    try:
        check(entries, key, principal=principal, namespace=namespace, at=at)
    except SignatureInvalid:
        return False
    return True
