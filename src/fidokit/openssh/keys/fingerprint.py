"""Fingerprints of public key blobs, written as ssh-keygen writes them.

Sources: OpenSSH's sshkey.c for the layouts; RFC 4716 section 4 (MD5), Huima's "The Bubble
Babble Binary Data Encoding", Loss et al., "The drunken bishop" (randomart).
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from fidokit.errors import UsageError
from fidokit.openssh.keys.randomart import draw

_sha256, _base64 = hashlib.sha256, binascii.b2a_base64  # looked up for 100,000 keys


def sha256(blob: bytes) -> str:
    """`SHA256:` and base64 without padding, ssh-keygen's default."""
    return "SHA256:" + _base64(_sha256(blob).digest())[:43].decode()  # no padding, no line end


def md5(blob: bytes) -> str:
    """`MD5:` and pairs of hex digits with colons between, as `ssh-keygen -E md5`."""
    return "MD5:" + _md5(blob).hex(":")


def _md5(blob: bytes) -> bytes:
    return hashlib.md5(blob, usedforsecurity=False).digest()


def _sha1(blob: bytes) -> bytes:
    return hashlib.sha1(blob, usedforsecurity=False).digest()


_VOWELS: Final = "aeiouy"
_CONSONANTS: Final = "bcdfghklmnprstvzx"


def bubblebabble(blob: bytes) -> str:
    """The blob's SHA-1 in pronounceable groups of five letters, as `ssh-keygen -B`."""
    digest = _sha1(blob)
    seed = 1
    groups = []
    for high, low in zip(digest[::2], digest[1::2], strict=True):
        groups.append(
            _VOWELS[((high >> 6) + seed) % 6]
            + _CONSONANTS[high >> 2 & 15]
            + _VOWELS[((high & 3) + seed // 6) % 6]
            + _CONSONANTS[low >> 4]
            + "-"
            + _CONSONANTS[low & 15]
        )
        seed = (seed * 5 + high * 7 + low) % 36
    # A digest of even length ends in a group that holds only the checksum.
    return "x" + "".join(groups) + _VOWELS[seed % 6] + "x" + _VOWELS[seed // 6] + "x"


_DIGESTS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "SHA256": lambda blob: hashlib.sha256(blob).digest(),
    "MD5": _md5,
}


def randomart(key_blob: bytes, title: str, hash_name: str = "SHA256") -> str:
    """The picture that `ssh-keygen -lv` draws, eleven lines without a last line end.

    Args:
        key_blob: the public key on the wire.
        title: the upper frame's text, from `randomart_title`.
        hash_name: "SHA256" or "MD5".

    Raises:
        UsageError: another hash.
    """
    digest = _DIGESTS.get(hash_name.upper())
    if digest is None:
        raise UsageError(f"no randomart of hash {hash_name!r}", hint="SHA256 and MD5 are known")
    return draw(digest(key_blob), title, f"[{hash_name.upper()}]")


def randomart_title(short_type: str, bits: int) -> str:
    """The upper frame's text: type and size, or the type alone where both would not fit."""
    full = f"[{short_type} {bits}]"
    return full if len(full) <= 17 else f"[{short_type}]"
