"""Fingerprints of every key in a file of keys, one at a time, for files of any length.

Reads what `ssh-keygen -l` reads: .pub files, authorized_keys with options before the key,
known_hosts with host names there. Nearly all lines of large files look alike, so those take a
short cut by fixed offsets; every other line takes the full parser.
"""

from __future__ import annotations

import re
import sys
from base64 import b64decode
from binascii import Error as BinasciiError
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Final, NamedTuple, Union

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.keys.fingerprint import sha256
from fidokit.openssh.keys.public import (
    SK_ED25519_HEAD,
    TYPE_NAMES,
    Ed25519Public,
    PublicKey,
    SkEcdsaPublic,
    SkEd25519Public,
    SkPublic,
    decode_base64,
    fixed_layout,
    is_ascii_string,
    is_certificate_type,
    parse_public,
)
from fidokit.openssh.lines.options import LIST

MAX_LINE: Final = 1 << 17
"""Longest line that is looked at, bytes; the longest honest key and its options fit well."""


class Listed(NamedTuple):
    """A key in a file.

    `line` counts from 1. `short_type` is ssh-keygen's name, such as ED25519-SK. `options` is
    what stands before the key, as it stands there. Comment and options are any text: whoever
    shows them must escape them; bytes that are not UTF-8 appear as backslash escapes.
    """

    line: int
    bits: int
    fingerprint: str
    comment: str
    short_type: str
    options: str = ""

    def text(self) -> str:
        """The line of `ssh-keygen -l`, which shows the options for want of a comment."""
        comment = self.comment or self.options or "no comment"
        return f"{self.bits} {self.fingerprint} {comment} ({self.short_type})"


class Unreadable(NamedTuple):
    """A line, counted from 1, that holds no key, and why."""

    line: int
    error: MalformedKey


# --- lines ---------------------------------------------------------------------------------


def bounded_lines(read: Callable[[int], bytes], chunk: int = 1 << 18) -> Iterator[bytes]:
    """The lines of a file, without line ends, in bounded memory whatever the file holds.

    A line longer than `MAX_LINE` is cut to `MAX_LINE + 1` bytes, so that a reader can tell.

    Args:
        read: gives at most as many bytes as it is asked for, and none at the end of the file.
        chunk: how many bytes to read at once.
    """
    kept = b""
    while piece := read(chunk):
        first, *rest = piece.split(b"\n")
        kept += first[: MAX_LINE + 1 - len(kept)]
        if rest:
            yield kept
            *whole, last = rest
            for line in whole:
                yield line if len(line) <= MAX_LINE else line[: MAX_LINE + 1]
            kept = last[: MAX_LINE + 1]
    if kept:
        yield kept


# --- the short cut -------------------------------------------------------------------------

_ED25519: Final = SkEd25519Public.type_name.encode()
_ECDSA: Final = SkEcdsaPublic.type_name.encode()
_PLAIN: Final = Ed25519Public.type_name.encode()
_PLAIN_HEAD: Final = wire.text(Ed25519Public.type_name) + wire.u32(32)
_PLAIN_SIZES: Final = (68, 51)
"""Of an ed25519 key in base64, and in bytes: a multiple of three, so that nothing is padding."""

_BEFORE_APPLICATION: Final = 88
"""Characters of an ed25519-sk key in base64 before its application: 66 bytes, so none is shared."""


def list_fingerprints(
    lines: Iterable[bytes], fingerprint: Callable[[bytes], str] = sha256
) -> Iterator[Listed | Unreadable]:
    """What `ssh-keygen -l` says of each line that is neither blank nor a comment, in order.

    Args:
        lines: the file's lines, with their ends or without; see `bounded_lines`.
        fingerprint: of `fingerprint.py`: sha256, md5 or bubblebabble.
    """
    for number, line in enumerate(lines, 1):
        usual = usual_key(line, fingerprint)
        if usual is not None:
            text, comment, layout = usual
            yield Listed(number, layout.bits, text, comment, layout.short_type)
        elif (found := _unusual(number, line, fingerprint)) is not None:
            yield found


if sys.version_info >= (3, 11):  # noqa: UP036  the one-file program runs on 3.9
    _decoded = partial(a2b_base64, strict_mode=True)
else:
    _decoded = partial(b64decode, validate=True)

# Python 3.9 evaluates it
Usual = Union[type[SkPublic], type[Ed25519Public]]  # noqa: UP007
"""The types of keys that a line can be told to hold without taking all of it apart."""


def usual_key(line: bytes, fingerprint: Callable[[bytes], str]) -> tuple[str, str, Usual] | None:
    """Fingerprint, comment and type of a line as tools write it: type, base64 and comment, one
    blank between; None for any other line or type.

    Args:
        line: with its end or without.
        fingerprint: as in `list_fingerprints`.
    """
    type_name, _, rest = line.partition(b" ")
    base64, _, tail = rest.partition(b" ")
    try:
        blob = _decoded(base64)
        comment = tail.rstrip(b"\r\n").decode()
    except (BinasciiError, UnicodeDecodeError):
        return None
    if not comment or comment[0] in " \t#" or len(line) > MAX_LINE:
        return None
    kind: Usual | None = None
    if type_name == _ED25519:
        if blob.startswith(SK_ED25519_HEAD) and _is_application(base64[_BEFORE_APPLICATION:]):
            kind = SkEd25519Public
    elif type_name == _PLAIN:
        if (len(base64), len(blob)) == _PLAIN_SIZES and blob.startswith(_PLAIN_HEAD):
            kind = Ed25519Public
    # What is decoded need not be canonical; only what encoding gives back is what was checked.
    elif type_name == _ECDSA and b2a_base64(blob, newline=False) == base64:
        kind = SkEcdsaPublic if fixed_layout(blob) is SkEcdsaPublic else None
    return None if kind is None else (fingerprint(blob), comment, kind)


@lru_cache(maxsize=64)  # one file names few applications
def _is_application(base64: bytes) -> bool:
    """Whether this, and nothing but this, encodes an application as every tool writes one."""
    blob = a2b_base64(base64)
    return b2a_base64(blob, newline=False) == base64 and is_ascii_string(blob)


# --- the full parser -----------------------------------------------------------------------

# Left to re's own cache: a .pub file needs neither, and compiling both is a 40th of its time.
_OPTIONS: Final = rb"(?s)(?=[^ \t])(" + LIST + rb")[ \t]+(.*)"
"""Options or host names, and what follows."""

_KEY: Final = rb"(?s)([^ \t]+)[ \t]+([^ \t]+)[ \t]*(.*)"


def _unusual(
    number: int, line: bytes, fingerprint: Callable[[bytes], str]
) -> Listed | Unreadable | None:
    text = line.rstrip(b"\r\n").lstrip(b" \t")
    if not text or text.startswith(b"#"):
        return None
    try:
        return _read_line(number, text, fingerprint)
    except MalformedKey as error:
        return Unreadable(number, error)


def _read_line(number: int, text: bytes, fingerprint: Callable[[bytes], str]) -> Listed:
    if len(text) > MAX_LINE:
        raise MalformedKey(f"the line is longer than {MAX_LINE} bytes")
    options = b""
    words = text.split(None, 1)  # none, where all of it is form feeds, say
    if words and not _is_type(words[0]) and (before := re.fullmatch(_OPTIONS, text)):
        options, text = before.groups()
    found = re.fullmatch(_KEY, text)
    if found is None or not _is_type(found[1]):
        raise MalformedKey("no public key stands on this line")
    type_name, base64, comment = found.groups()
    key, short_type = _read_key(type_name, decode_base64(base64))
    if comment.startswith(b"#"):
        comment = b""
    return Listed(
        number, key.bits, fingerprint(key.blob()), _shown(comment), short_type, _shown(options)
    )


_TYPE_FIELDS: Final = frozenset(name.encode() for name in TYPE_NAMES)


def _is_type(field: bytes) -> bool:
    return field in _TYPE_FIELDS or is_certificate_type(field.decode("latin-1"))


def _read_key(type_name: bytes, blob: bytes) -> tuple[PublicKey, str]:
    """The key and ssh-keygen's name for its type; for a certificate, the key that it certifies."""
    if is_certificate_type(type_name.decode("latin-1")):
        from fidokit.openssh.certificates.certificate import parse_certificate

        certificate = parse_certificate(blob)
        key, wire_name = certificate.public, certificate.type_name
        short_type = f"{key.short_type}-CERT"
    else:
        key = parse_public(blob)
        wire_name, short_type = key.type_name, key.short_type
    if wire_name.encode() != type_name:
        raise MalformedKey(f"the line says {_shown(type_name[:64])}, the key in it is {wire_name}")
    return key, short_type


def _shown(field: bytes) -> str:
    return field.decode("utf-8", "backslashreplace")
