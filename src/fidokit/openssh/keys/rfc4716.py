"""Public keys in the exchange format of RFC 4716, which `ssh-keygen -e` writes and `-i` reads."""

from __future__ import annotations

import binascii
from collections.abc import Iterator
from typing import Final

from fidokit.errors import MalformedKey
from fidokit.openssh.keys.public import (
    PublicKey,
    PublicLine,
    check_comment,
    decode_base64,
    parse_public,
)

MAX_FILE: Final = 1 << 18
"""Longest file that is looked at, characters."""

_BEGIN: Final = "---- BEGIN SSH2 PUBLIC KEY ----"
_END: Final = "---- END SSH2 PUBLIC KEY ----"
_COLUMNS: Final = 70
_LINE_BYTES: Final = 72
"""RFC 4716 section 3.1: no line may be longer, its end not counted."""


def stock_comment(key: PublicKey, user: str, host: str) -> str:
    """The comment that `ssh-keygen -e` gives to a key, whatever comment it had.

    Args:
        key: the key.
        user: the login name of who converts it.
        host: the name of the machine where that happens.
    """
    comment = f"{key.bits}-bit {key.short_type}, converted by {user}@{host} from OpenSSH"
    return comment.encode("utf-8", "replace")[:60].decode("utf-8", "ignore")


def encode_rfc4716(key: PublicKey, comment: str = "") -> str:
    """The key as a file, the last line end included.

    Args:
        key: any key.
        comment: goes into the Comment header, in quotes, over several lines where it is long;
            empty for no such header.

    Raises:
        UsageError: the comment holds a line break or NUL, or is no Unicode text.
    """
    check_comment(comment, forbidden="\r\n\0")
    base64 = binascii.b2a_base64(key.blob(), newline=False).decode("ascii")
    body = (base64[at : at + _COLUMNS] for at in range(0, len(base64), _COLUMNS))
    header = _fold(f'Comment: "{comment}"') if comment else ()
    return "\n".join([_BEGIN, *header, *body, _END, ""])


def _fold(header: str) -> Iterator[str]:
    """Lines of at most 72 bytes, each but the last with a backslash at its end."""
    line, room = "", _LINE_BYTES - 1
    for sign in header:
        size = len(sign.encode("utf-8"))
        if size > room:
            yield line + "\\"
            line, room = "", _LINE_BYTES - 1
        line += sign
        room -= size
    yield line


def parse_rfc4716(text: str) -> PublicLine:
    """The key and its Comment header, without the quotes around it; empty where there is none.

    Other headers are passed over (RFC 4716 section 3.3).

    Raises:
        MalformedKey: too long, no such file, a private key, or a key that cannot be read.
    """
    if len(text) > MAX_FILE:
        raise MalformedKey(f"public key: {len(text)} characters are more than {MAX_FILE}")
    lines = iter(_between_marks(text))
    comment, base64 = "", []
    for line in lines:
        tag, colon, value = line.partition(":")
        if not colon:
            base64.append(line.strip())
            continue
        value = "".join(_unfold(value, lines))
        if tag.lower() == "comment":
            comment = _unquote(value.removeprefix(" "))
    key = parse_public(decode_base64("".join(base64).encode("utf-8", "replace")))
    return PublicLine(key, comment)


def _unfold(value: str, lines: Iterator[str]) -> Iterator[str]:
    while value.endswith("\\"):
        yield value[:-1]
        value = next(lines, "")
    yield value


def _between_marks(text: str) -> list[str]:
    begin, *lines = text.strip().replace("\r\n", "\n").split("\n")
    if "PRIVATE KEY" in begin:
        raise MalformedKey(
            "this is a private key, where a public key in RFC 4716's format was expected",
            hint="Name the public key file",
        )
    if begin.rstrip() != _BEGIN:
        raise MalformedKey(f"this is not a public key in RFC 4716's format: no {_BEGIN!r}")
    for number, line in enumerate(lines):
        if line.rstrip() == _END:
            return lines[:number]
    raise MalformedKey(f"public key: the file ends before {_END!r}")


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value
