"""Keys inside lines: `type base64[ comment]`, behind whatever a file puts before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO, Final

from fidokit.errors import MalformedKey
from fidokit.openssh.certificates.certificate import CERTIFICATE_TYPES, Certificate, parse_key
from fidokit.openssh.keys.public import TYPE_NAMES, PublicKey, decode_base64

MAX_LINE: Final = 1 << 20
"""Longest line that is looked at, bytes; the longest key has 4 KiB, options may have more."""

TOO_LONG: Final = "the line is too long to be a key's"
"""What is wrong with a longer one."""

BLANKS: Final = b" \t"
"""What separates fields; line ends are cut off before."""

_TYPE_IN_BLOB: Final[Mapping[bytes, bytes]] = {
    **{name.encode(): name.encode() for name in (*TYPE_NAMES, *CERTIFICATE_TYPES)},
    # Names of signature types, which OpenSSH takes for the key types behind them.
    b"rsa-sha2-256": b"ssh-rsa",
    b"rsa-sha2-512": b"ssh-rsa",
    b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com": b"sk-ecdsa-sha2-nistp256@openssh.com",
}


def split_field(text: bytes) -> tuple[bytes, bytes]:
    """The first field, and what follows it and the blanks behind it."""
    field = text.replace(b"\t", b" ").split(b" ", 1)[0]
    return field, text[len(field) :].lstrip(BLANKS)


def starts_with_key(text: bytes) -> bool:
    """Whether a key stands at the start of `text`, rather than options before one."""
    return split_field(text)[0] in _TYPE_IN_BLOB


def read_key(text: bytes) -> tuple[PublicKey | Certificate, str]:
    """The key or certificate at the start of `text`, and the comment behind it.

    Bytes of the comment that are not UTF-8 become lone surrogates (PEP 383).

    Raises:
        MalformedKey: no key of a known type, broken base64, or a blob that is not of the type
            that stands before it.
    """
    word, rest = split_field(text)
    expected = _TYPE_IN_BLOB.get(word)
    if expected is None:
        raise MalformedKey("there is no key of a known type")
    field, comment = split_field(rest)
    blob = decode_base64(field)
    if blob[: len(expected) + 4] != len(expected).to_bytes(4, "big") + expected:
        raise MalformedKey(f"the line says {word.decode()}, the key in it is of another type")
    return parse_key(blob), comment.decode("utf-8", "surrogateescape")


def content(raw: bytes) -> bytes:
    """A line as a C program sees it: up to a NUL, without its line end and outer blanks."""
    return raw.split(b"\0", 1)[0].rstrip(b"\r\n").strip(BLANKS)


def read_lines(file: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """The lines of a file with their ends, no more than `MAX_LINE` bytes in memory.

    Yields:
        The line's number, from 1; its bytes; and whether they are all of it. A longer line comes in
        pieces, none of which is.
    """
    number = 1
    going_on = False
    while piece := file.readline(MAX_LINE):
        unfinished = len(piece) == MAX_LINE and not piece.endswith(b"\n")
        yield number, piece, not (unfinished or going_on)
        going_on = unfinished
        number += not unfinished
