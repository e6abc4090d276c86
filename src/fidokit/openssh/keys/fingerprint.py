"""Fingerprints of public key blobs, written as ssh-keygen writes them.

Sources: OpenSSH's sshkey.c for the layouts; RFC 4716 section 4 (MD5), Huima's "The Bubble Babble
Binary Data Encoding", Loss, Limmer, von Gernler, "The drunken bishop: An analysis of the OpenSSH
fingerprint visualization algorithm" (2009): a walk over a small board, steered by a digest.
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from fidokit.errors import UsageError

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
    for high, low in zip(digest[::2], digest[1::2]):  # noqa: B905  Python 3.9 has no strict
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
    return _draw(digest(key_blob), title, f"[{hash_name.upper()}]")


def randomart_title(short_type: str, bits: int) -> str:
    """The upper frame's text: type and size, or the type alone where both would not fit."""
    full = f"[{short_type} {bits}]"
    return full if len(full) <= 17 else f"[{short_type}]"


_WIDTH: Final = 17
_HEIGHT: Final = 9
_SIGNS: Final = " .o+=*BOX@%&#/^"
"""How often a square was visited: never to fourteen times or more."""


def _draw(digest: bytes, title: str, footer: str) -> str:
    """The board after the walk, in a frame; eleven lines without a last line end.

    Args:
        digest: the hash of a key, any length.
        title: text in the upper frame, cut at 16 characters as stock OpenSSH cuts it.
        footer: text in the lower frame, cut at 16 characters, too.
    """
    visits = [[0] * _WIDTH for _ in range(_HEIGHT)]
    x, y = start = (_WIDTH // 2, _HEIGHT // 2)
    for right, down in _moves(digest):
        x = min(max(x + right, 0), _WIDTH - 1)
        y = min(max(y + down, 0), _HEIGHT - 1)
        visits[y][x] += 1
    squares = [[_SIGNS[min(n, len(_SIGNS) - 1)] for n in row] for row in visits]
    squares[start[1]][start[0]] = "S"
    squares[y][x] = "E"
    rows = [f"|{''.join(row)}|" for row in squares]
    return "\n".join([_border(title), *rows, _border(footer)])


def _moves(digest: bytes) -> Iterator[tuple[int, int]]:
    """Two bits a move, lowest first: one for right or left, one for down or up."""
    for byte in digest:
        for shift in (0, 2, 4, 6):
            yield (byte >> shift & 1) * 2 - 1, (byte >> shift + 1 & 1) * 2 - 1


def _border(text: str) -> str:
    text = text[: _WIDTH - 1]
    left = (_WIDTH - len(text)) // 2
    return "+" + "-" * left + text + "-" * (_WIDTH - len(text) - left) + "+"
