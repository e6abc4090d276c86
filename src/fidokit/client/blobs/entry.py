"""One entry of the large-blob array: compressed, then sealed under a credential's largeBlobKey.

The map {1: sealed bytes and their tag, 2: nonce (12 bytes), 3: size before compression};
AES-256-GCM with the associated data "blob" and that size as 8 bytes, little-endian, over raw
DEFLATE (RFC 1951). Source: CTAP 2.3 section 6.10.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fidokit.client import fido2_device
from fidokit.client.answer import Answer
from fidokit.client.blobs import deflate
from fidokit.client.links.channel import checked
from fidokit.errors import TokenMisbehaved

NONCE: Final = 12
TAG: Final = 16
_LONGEST_SEALED: Final = 1 << 16

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A sealed blob as it lies in the array.

    Args:
        sealed: the compressed blob under AES-256-GCM, and its tag of 16 bytes.
        nonce: 12 bytes.
        size: bytes of the blob before compression, as the array says.
    """

    sealed: bytes
    nonce: bytes
    size: int

    def encode(self) -> bytes:
        """The canonical CBOR of the entry."""
        return fido2_device.encode({1: self.sealed, 2: self.nonce, 3: self.size})

    def fits(self, key: bytes) -> bool:
        """Whether this was sealed under `key`, 32 bytes."""
        return self._unsealed(key) is not None

    def open(self, key: bytes) -> bytes | None:
        """The blob, or None where it was sealed under another key.

        Raises:
            Malformed: it is larger than we read, or does not unpack to the size it claims.
        """
        compressed = self._unsealed(key)
        if compressed is None:
            return None
        return deflate.unpack(compressed, self.size)

    def _unsealed(self, key: bytes) -> bytes | None:
        try:
            return AESGCM(key).decrypt(self.nonce, self.sealed, _associated(self.size))
        except InvalidTag:
            return None


def read_entry(raw: bytes) -> BlobEntry | None:
    """The entry that `raw` encodes; None for anything else, which is left alone."""
    try:
        answer = Answer.of(checked(raw, "large blob"), "large blob")
        sealed = answer.octets(1, longest=_LONGEST_SEALED, shortest=TAG)
        return BlobEntry(sealed, answer.exactly(2, NONCE), answer.uint(3))
    except TokenMisbehaved:
        return None


def seal(blob: bytes, key: bytes, random: Random) -> BlobEntry:
    """Compress and seal a blob.

    Args:
        blob: at most 1 MiB.
        key: the credential's largeBlobKey, 32 bytes.
        random: gives so many random bytes, for the nonce.

    Raises:
        UsageError: the blob is larger than that.
    """
    compressed = deflate.pack(blob)
    nonce = random(NONCE)
    sealed = AESGCM(key).encrypt(nonce, compressed, _associated(len(blob)))
    return BlobEntry(sealed, nonce, len(blob))


def _associated(size: int) -> bytes:
    return b"blob" + size.to_bytes(8, "little")
