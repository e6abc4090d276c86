"""authorized_keys files, line by line, as sshd reads them.

Source: sshd(8), "AUTHORIZED_KEYS FILE FORMAT". sshd says nothing about a line that it does not
understand, it passes over it; here such a line is a `BadLine` with the reason. Every line keeps
its bytes, so that the file can be written again with nothing changed that was not meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Union

from fidokit.errors import Malformed, MalformedKey
from fidokit.openssh.certificates.certificate import Certificate
from fidokit.openssh.keys.public import PublicKey, PublicLine, as_bytes
from fidokit.openssh.lines import key_text
from fidokit.openssh.lines.options import (
    Option,
    check_options,
    encode_options,
    parse_list,
    split_list,
)


@dataclass(frozen=True)
class AuthorizedKey:
    """`[options ]type base64[ comment]`: a line that lets someone in."""

    options: tuple[Option, ...]
    key: PublicKey
    comment: str
    line_number: int
    raw: bytes

    def has(self, name: str) -> bool:
        """Whether an option of that name, in lower case, is there."""
        return any(option.name == name for option in self.options)

    def value(self, name: str) -> str | None:
        """The value of the first option of that name; None if it is not there or a flag."""
        return next((option.value for option in self.options if option.name == name), None)

    @property
    def is_authority(self) -> bool:
        """Whether the key signs certificates, and does not log in itself."""
        return self.has("cert-authority")


@dataclass(frozen=True)
class BadLine:
    """A line that sshd passes over, and why.

    A line longer than `key_text.MAX_LINE` comes in pieces, all with the same number.
    """

    reason: str
    line_number: int
    raw: bytes


@dataclass(frozen=True)
class OtherLine:
    """A blank line or a comment."""

    line_number: int
    raw: bytes


Line = Union[AuthorizedKey, BadLine, OtherLine]  # noqa: UP007  Python 3.9 evaluates it


def parse_line(raw: bytes, line_number: int = 1) -> Line:
    """What one line means to sshd.

    Args:
        raw: the line, with or without its end; LF, CRLF or none.
        line_number: where it stands, from 1; only kept.
    """
    text = key_text.content(raw)
    if not text or text.startswith(b"#"):
        return OtherLine(line_number, raw)
    try:
        return _entry(text, line_number, raw)
    except Malformed as error:
        return BadLine(error.message, line_number, raw)


def _entry(text: bytes, line_number: int, raw: bytes) -> AuthorizedKey:
    listed, rest = (b"", text) if key_text.starts_with_key(text) else split_list(text)
    key, comment = key_text.read_key(rest)
    if isinstance(key, Certificate):
        raise MalformedKey("a certificate lets nobody in: its authority's key does")
    options = parse_list(listed, end_comma=True)
    check_options(options)
    return AuthorizedKey(options, key, comment, line_number, raw)


def parse_file(file: BinaryIO) -> Iterator[Line]:
    """Each line of a file in turn; no more than one of them is in memory.

    `b"".join(line.raw for line in parse_file(file))` is the file, whatever is in it.

    Args:
        file: open for reading bytes.
    """
    for number, raw, whole in key_text.read_lines(file):
        yield parse_line(raw, number) if whole else BadLine(key_text.TOO_LONG, number, raw)


def encode_line(key: PublicKey, options: Iterable[Option] = (), comment: str = "") -> bytes:
    """A line for `key`, with its line end.

    Raises:
        MalformedFile: an option that sshd would not take.
        UsageError: an option's value or a comment that would forge another line.
    """
    options = tuple(options)
    check_options(options)
    listed = encode_options(options)
    line = PublicLine(key, comment).encode()
    return as_bytes(f"{listed} {line}\n" if listed else f"{line}\n")
