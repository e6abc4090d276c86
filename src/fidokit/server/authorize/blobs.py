"""The keys in lines of authorized_keys, read as tolerantly as any sshd reads them.

To take a key out it is not enough to find the lines that we would write: sshd skips white space
inside base64 and needless zeros before an RSA number, and may know types that we do not. What is
too much here costs a look, what is missing lets somebody in.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Final

from fidokit.errors import UsageError

SHA256: Final = "SHA256:"
"""What fingerprints begin with."""

_BLANKS: Final = b" \t"
_NOT_BASE64: Final = re.compile(rb"[^A-Za-z0-9+/]+")
_TYPE: Final = re.compile(rb"[A-Za-z0-9@._+-]+")
"""Signs of the names of key types."""

_NAME: Final = re.compile(r"[!-~]{1,255}")
_RSA: Final = b"ssh-rsa"
_MAX_BLOB: Final = 1 << 16


def blobs_in(raw: bytes) -> Iterator[bytes]:
    """What may be the blob of a line's key, at most two: with no options before it, and with some.

    Args:
        raw: the line, with or without its end.
    """
    text = raw.split(b"\0", 1)[0].lstrip(_BLANKS)
    if not text or text[:1] in b"#\n":
        return
    yield from _blob_behind_type(text)
    rest = _past_options(text)
    if rest is not None:
        yield from _blob_behind_type(rest.lstrip(_BLANKS))


def _blob_behind_type(text: bytes) -> Iterator[bytes]:
    words = text.replace(b"\t", b" ").split(b" ", 1)
    if len(words) < 2 or not _TYPE.fullmatch(words[0]):
        return
    field = words[1].lstrip(_BLANKS).split(b" ", 1)[0].split(b"=", 1)[0]
    signs = _NOT_BASE64.sub(b"", field)[: 2 * _MAX_BLOB]
    signs = signs[: len(signs) - (len(signs) % 4 == 1)]
    blob = b64decode(signs + b"=" * (-len(signs) % 4))
    if _NAME.fullmatch(type_name(blob)):
        yield canonical(blob)


def _past_options(text: bytes) -> bytes | None:
    """What follows the options: sshd ends them at the first blank outside quotes."""
    quoted, at = False, 0
    while at < len(text) and (quoted or text[at] not in _BLANKS):
        if text[at : at + 2] == b'\\"':
            at += 1
        elif text[at] == ord('"'):
            quoted = not quoted
        at += 1
    return None if quoted else text[at:]


def canonical(blob: bytes) -> bytes:
    """A key's blob in the one form that fingerprints are made of; what cannot be read stays."""
    fields = _fields(blob)
    if not fields or fields[0] != _RSA or len(fields) < 3:
        return blob
    return _string(_RSA) + b"".join(map(_number, fields[1:3]))


def _number(field: bytes) -> bytes:
    plain = field.lstrip(b"\0")
    return _string(b"\0" + plain if plain[:1] >= b"\x80" else plain)


def _fields(blob: bytes) -> list[bytes]:
    found, at = [], 0
    while at + 4 <= len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + size > len(blob):
            break
        found.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def type_name(blob: bytes) -> str:
    """The type that a blob begins with; hostile text."""
    fields = _fields(blob)
    return fields[0].decode("ascii", "backslashreplace") if fields else ""


def fingerprint_of(blob: bytes) -> str:
    """A key's fingerprint, as `ssh-keygen -l` prints it."""
    digest = b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return f"{SHA256}{digest}"


def digest_of(print_: str) -> bytes:
    """The hash in a fingerprint.

    Raises:
        UsageError: it is not a whole one.
    """
    text = print_[len(SHA256) :].rstrip("=")
    try:
        digest = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        digest = b""
    if len(digest) != hashlib.sha256().digest_size:
        raise UsageError(
            f"{print_!r} is not a whole fingerprint", hint="`ssh-keygen -lf FILE` prints it"
        )
    return digest
