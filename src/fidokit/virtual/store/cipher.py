"""Sealing a token's secrets under a passphrase: scrypt makes a key, AES-256-GCM does the rest.

The passphrase's key seals a random data key, and that seals the content, each record under a name
of its own, so that records cannot be exchanged for one another or for those of another token.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from fidokit.errors import MalformedFile, PassphraseWrong, UsageError
from fidokit.virtual.core.ports import Rng

COST: Final = 15
"""log2 of scrypt's N: 32 MiB and about 0.1 s a try."""

LEAST_COST: Final = 10
HIGHEST_COST: Final = 18
"""256 MiB; a file that asks for more was not made by us."""

_SALT: Final = 16
_NONCE: Final = 12
_KEY: Final = 32
_TAG: Final = 16
_BLOCKS: Final = 8
_LONGEST_PASSPHRASE: Final = 1024


@dataclass(frozen=True, slots=True)
class Seal:
    """What is beside sealed content in plain.

    Args:
        salt: 16 bytes.
        cost: log2 of scrypt's N, 10 to 18.
        key: the sealed data key, 60 bytes.
    """

    salt: bytes
    cost: int
    key: bytes

    def __post_init__(self) -> None:
        """Bound what a stranger's file can make us do."""
        good = len(self.salt) == _SALT and len(self.key) == _NONCE + _KEY + _TAG
        if not good or not LEAST_COST <= self.cost <= HIGHEST_COST:
            raise MalformedFile(
                "a seal has sizes that no fidokit writes", hint="restore a copy of the file"
            )

    def unlock(self, passphrase: bytes, serial: str) -> Box:
        """The box that the passphrase opens.

        Args:
            passphrase: 1 to 1024 bytes.
            serial: of the token whose seal this is.

        Raises:
            PassphraseWrong: it is not this one.
        """
        outer = Box(_derived(passphrase, self.salt, self.cost), serial)
        try:
            return Box(outer.open("key", self.key), serial)
        except MalformedFile:
            raise PassphraseWrong(
                f"the passphrase does not open the virtual token {serial}",
                hint="repeat with the passphrase that it was sealed with",
            ) from None


def new_seal(passphrase: bytes, serial: str, rng: Rng) -> tuple[Seal, Box]:
    """A seal under a passphrase, and the box that it locks.

    Args:
        passphrase: 1 to 1024 bytes.
        serial: of the token.
        rng: for the salt and the data key.

    Raises:
        UsageError: the passphrase is empty or too long.
    """
    salt, key = rng.bytes(_SALT), rng.bytes(_KEY)
    outer = Box(_derived(passphrase, salt, COST), serial)
    return Seal(salt, COST, outer.close("key", key)), Box(key, serial)


def _derived(passphrase: bytes, salt: bytes, cost: int) -> bytes:
    if not 0 < len(passphrase) <= _LONGEST_PASSPHRASE:
        raise UsageError(
            f"a passphrase has 1 to {_LONGEST_PASSPHRASE} bytes, not {len(passphrase)}",
            hint="choose another one",
        )
    # Here and below: a list of tokens looks at seals, and does without cryptography's 40 ms.
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt, _KEY, 1 << cost, _BLOCKS, 1).derive(passphrase)


@dataclass(frozen=True, slots=True)
class Box:
    """A key for records: nonce (12 bytes), ciphertext, tag (16 bytes).

    Args:
        key: 32 bytes.
        serial: of the token; it is part of each record's name.
    """

    key: bytes = field(repr=False)
    serial: str

    def close(self, name: str, content: bytes) -> bytes:
        """Seal the content of a record under its name."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        return nonce + AESGCM(self.key).encrypt(nonce, content, self._context(name))

    def open(self, name: str, record: bytes) -> bytes:
        """A record's content.

        Raises:
            MalformedFile: it was changed, or is another record.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, sealed = record[:_NONCE], record[_NONCE:]
        try:
            return AESGCM(self.key).decrypt(nonce, sealed, self._context(name))
        except (InvalidTag, ValueError):  # ValueError: the nonce is cut
            raise MalformedFile(
                f"the sealed record {name!r} was changed", hint="restore a copy of the file"
            ) from None

    def _context(self, name: str) -> bytes:
        return f"fidokit seal 1\0{self.serial}\0{name}".encode()
