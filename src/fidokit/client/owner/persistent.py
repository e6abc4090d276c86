"""Reading the credentials of a token without its PIN, by a token that lasts (CTAP 2.3, pcmr).

A pinUvAuthToken of the permission pcmr outlives power cycles. Whoever kept one may list what is on
the token it came from, and recognize that token by its encIdentifier, until the PIN is changed or
the token reset. It can neither sign, nor change, nor delete anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fidokit.client.owner.proofs import Permission, PinToken, Wish, obtain

if TYPE_CHECKING:
    from fidokit.client.connection import Connection

BLOCK: Final = 16
SEALED: Final = 2 * BLOCK
"""Bytes of encIdentifier: the initialization vector, and one block."""
KIND: Final = "id"
"""The first part of a selector that names a token by its identifier."""
_INFO: Final = b"encIdentifier"
_SALT: Final = bytes(32)
_LABEL: Final = b"fidokit selector"


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A persistent pinUvAuthToken, and what tells which token it came from.

    Args:
        version: PIN/UV auth protocol, 1 or 2.
        secret: 16 or 32 bytes; never prints.
        identifier: the token's 16 bytes, None if it has no encIdentifier.
        selector: what named the token when it was kept; the way to recognize one without
            identifier, and good for that only where the selector is durable.
        name: what the token was called then; for people, hostile text.
    """

    version: int
    secret: bytes = field(repr=False)
    identifier: bytes | None = field(repr=False)
    selector: str
    name: str = ""

    def opens(self, sealed: bytes) -> bool:
        """Whether this encIdentifier is of the token that this came from, the PIN unchanged."""
        return self.identifier is not None and unseal(self.secret, sealed) == self.identifier

    def is_of(self, connection: Connection) -> bool:
        """Whether the open token is the one that this came from."""
        sealed = connection.info.enc_identifier
        if sealed is not None:
            return self.opens(sealed)
        return (
            self.identifier is None and connection.durable and connection.selector == self.selector
        )

    def as_pin_token(self) -> PinToken:
        """What proves the right to read; its permissions cover nothing else."""
        return PinToken(self.version, Permission.PERSISTENT_READ, None, self.secret)


class Keeper(Protocol):
    """Where persistent tokens are kept from one command to the next."""

    def kept(self) -> Iterable[KeptToken]:
        """All tokens that are kept."""

    def keep(self, kept: KeptToken) -> None:
        """Remember one, in the place of an older one of the same token."""

    def forget(self, kept: KeptToken) -> None:
        """Forget one; nothing happens if it is not there."""


def unseal(secret: bytes, sealed: bytes) -> bytes | None:
    """The 16 bytes in an encIdentifier: iv, then one block of AES-128-CBC (CTAP 2.3 section 6.4).

    Under any other token than the one that it was sealed for, the result is noise: there is
    nothing to tell by but comparing. None if it has another size.
    """
    if len(sealed) != SEALED:
        return None
    key = HKDF(hashes.SHA256(), length=BLOCK, salt=_SALT, info=_INFO).derive(secret)
    opener = Cipher(algorithms.AES128(key), modes.CBC(sealed[:BLOCK])).decryptor()
    return opener.update(sealed[BLOCK:]) + opener.finalize()


def selector_of(identifier: bytes) -> str:
    """A durable selector: `id:` and 16 hexadecimal digits.

    They come from a hash, so that a selector in a shell's history is not the identifier itself.
    """
    return f"{KIND}:{hashlib.sha256(_LABEL + identifier).hexdigest()[:16]}"


def recognized(sealed: bytes | None, keeper: Keeper) -> str | None:
    """The `id:` selector of the token that shows this encIdentifier; None for strangers."""
    if sealed is None:
        return None
    for kept in keeper.kept():
        if kept.opens(sealed) and kept.identifier is not None:
            return selector_of(kept.identifier)
    return None


class Reading:
    """The right to read one open token's credentials without PIN.

    Args:
        keeper: where persistent tokens are kept.
        wanted: whether the PIN may be asked for once to get one; else only one that was kept is
            used, or put in the place of one that was kept and died.
    """

    def __init__(self, keeper: Keeper, *, wanted: bool = False) -> None:
        self._keeper = keeper
        self._wanted = wanted
        self._looked = False
        self._renewed = False
        self._kept: KeptToken | None = None

    def token(self, connection: Connection, why: str) -> PinToken | None:
        """What proves the right to read; None if the PIN has to be asked for as ever.

        Raises:
            PinError and others: see `proofs.obtain`, where a new one is wanted.
        """
        if not connection.info.has_persistent_reading:
            return None
        if not self._looked:
            self._look(connection)
        if self._kept is None and self._wanted and not self._renewed:
            self._renewed = True
            self._kept = _obtained(connection, why)
            self._keeper.keep(self._kept)
        return self._kept.as_pin_token() if self._kept else None

    def died(self, proof: PinToken) -> bool:
        """The token did not accept `proof` (0x33); whether another way is worth a try."""
        if self._kept is None or proof != self._kept.as_pin_token():
            return False
        self._keeper.forget(self._kept)
        self._kept, self._wanted = None, True
        return not self._renewed

    def _look(self, connection: Connection) -> None:
        self._looked = True
        known = list(self._keeper.kept())
        self._kept = next((kept for kept in known if kept.is_of(connection)), None)
        # a changed PIN shows as an identifier that nothing opens; what was agreed to still holds
        self._wanted |= any(connection.durable and k.selector == connection.selector for k in known)


def _obtained(connection: Connection, why: str) -> KeptToken:
    token = obtain(connection, Wish(Permission.PERSISTENT_READ, None, why))
    connection.forget_options()  # what was shown before may be sealed under an older token
    sealed = connection.info.enc_identifier
    identifier = None if sealed is None else unseal(token.secret, sealed)
    return KeptToken(token.version, token.secret, identifier, connection.selector, connection.name)
