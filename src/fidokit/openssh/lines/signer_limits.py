"""Changing lines of allowed_signers: a time after which a key does not count, and another key."""

from __future__ import annotations

import re
import time
from typing import Final

from fidokit.errors import MalformedFile
from fidokit.openssh.lines.allowed_signers import AllowedSigner, parse_line
from fidokit.openssh.lines.options import split_list

_HEAD: Final = re.compile(rb'[ \t]*(?:[^ \t\r\n"]*"[^"]*"|[^ \t\r\n"]+)[ \t]*')
_BEFORE: Final = re.compile(rb'(^|,)valid-before="(?:\\"|[^"])*"', re.IGNORECASE)


def limited(raw: bytes, moment: int) -> bytes:
    """A line whose key counts for signatures until `moment` alone; the rest of it stays.

    An earlier limit stays, too. A key that was to count only later does not count at all: its line
    becomes a comment.

    Args:
        raw: the line with its end.
        moment: seconds since 1970.

    Raises:
        MalformedFile: it is not a line of a key.
    """
    found = parse_line(raw)
    if not isinstance(found, AllowedSigner):
        raise MalformedFile("not a line of allowed signers")
    if found.valid_before is not None and found.valid_before <= moment:
        return raw
    if found.valid_after is not None and found.valid_after >= moment:
        return b"# " + raw
    head, rest = _split(raw)
    limit = b'valid-before="' + _time(moment) + b'"'
    options, behind = _options(rest)
    if not options:
        return head + limit + b" " + rest
    kept = _BEFORE.sub(b"", options).lstrip(b",")
    return head + b",".join(filter(None, (limit, kept))) + b" " + behind


def with_key(raw: bytes, line: bytes) -> bytes:
    """A line like another one, with its principals and purpose, for another key and for all times.

    Args:
        raw: the line of the other key.
        line: the public line of the key.
    """
    found = parse_line(raw)
    if not isinstance(found, AllowedSigner):
        raise MalformedFile("not a line of allowed signers")
    head, _ = _split(raw)
    options = [b"cert-authority"] if found.is_authority else []
    if found.namespaces is not None:
        text = found.namespaces.replace('"', '\\"').encode("utf-8", "surrogateescape")
        options.append(b'namespaces="' + text + b'"')
    between = b",".join(options) + b" " if options else b""
    return head.lstrip(b" \t") + between + line + b"\n"


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """The principals with the blanks behind them, and the rest."""
    head = _HEAD.match(raw)
    if head is None:
        raise MalformedFile("not a line of allowed signers")
    return raw[: head.end()], raw[head.end() :]


def _options(rest: bytes) -> tuple[bytes, bytes]:
    """The options, which may be none, and what follows them."""
    if isinstance(parse_line(b"x " + rest), AllowedSigner) and _has_none(rest):
        return b"", rest
    return split_list(rest)


def _has_none(rest: bytes) -> bool:
    """Whether the rest begins with the key: then its first word is a type, and no option."""
    first = rest.split(None, 1)[0]
    return b"=" not in first and first.lower() != b"cert-authority"


def _time(moment: int) -> bytes:
    """As ssh-keygen of OpenSSH 9.1 and later reads it, whatever the reader's time zone."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(moment)).encode()
