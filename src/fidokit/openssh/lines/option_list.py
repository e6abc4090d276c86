"""The option lists that stand before keys: `no-pty,command="echo \\"hi\\"",from="10.*"`.

Sources: sshd(8) "AUTHORIZED_KEYS FILE FORMAT" and ssh-keygen(1) "ALLOWED SIGNERS"; where those
are silent, what OpenSSH does: names in any case, empty items skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from fidokit.errors import MalformedFile, UsageError


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name in lower case, and its value without quotes; None for a flag."""

    name: str
    value: str | None = None

    def encode(self) -> str:
        """The option as it is written in a file.

        Raises:
            UsageError: the value holds a line break, NUL or bytes that are no UTF-8, or ends
                in a backslash, none of which the format can carry.
        """
        if self.value is None:
            return self.name
        if re.search(r"[\r\n\0\ud800-\udfff]|\\\Z", self.value):
            raise UsageError(
                f"the value of {self.name} cannot be written into an option list",
                hint="Leave out line breaks, and a backslash at the end",
            )
        quoted = self.value.replace('"', '\\"')
        return f'{self.name}="{quoted}"'


def encode_options(options: Iterable[Option]) -> str:
    """The whole list, without blanks around it; empty for no options."""
    return ",".join(option.encode() for option in options)


_INSIDE: Final = rb'(?:[^"\\]++|\\"|\\(?!"))*'
_LIST: Final = re.compile(rb'(?:[^ \t"\\]++|\\"|\\(?!")|"' + _INSIDE + rb'")*')
"""All up to the first blank outside quotes; stops early at a quote that is never closed. The
alternatives exclude each other, which keeps a long hostile line from being tried in many ways;
possessive groups would too, but Python 3.11.2 (Debian 12) matches them wrongly."""


def split_list(text: bytes) -> tuple[bytes, bytes]:
    """The option list at the start of `text`, and what follows it and its blanks.

    The list ends at the first blank outside quotes.

    Raises:
        MalformedFile: a quote is never closed.
    """
    found = _LIST.match(text)
    end = found.end() if found else 0
    if text[end : end + 1] == b'"':
        raise MalformedFile("a quote in the options is never closed")
    return text[:end], text[end:].lstrip(b" \t")


_NAME: Final = re.compile(rb"[A-Za-z0-9-]+")
_VALUE: Final = re.compile(rb'"(' + _INSIDE + rb')"')


def parse_list(text: bytes, *, end_comma: bool = False) -> tuple[Option, ...]:
    """The options of a list, names not yet judged.

    Bytes of a value that are not UTF-8 are written as `\\xNN`, so that they can be shown.

    Args:
        text: the list alone, as `split_list` cuts it out.
        end_comma: take a comma at the end, as sshd does and ssh-keygen does not.

    Raises:
        MalformedFile: something between commas that is neither `name` nor `name="value"`, or a
            comma at the end where that is not taken.
    """
    options = []
    at = 0
    while at < len(text):
        if text[at] != ord(","):
            option, at = _one(text, at)
            options.append(option)
            if at == len(text):
                break
        if text[at] != ord(","):
            raise MalformedFile(f"option {options[-1].name!r} is followed by something else")
        at += 1
        if at == len(text) and not end_comma:
            raise MalformedFile("the options end in a comma")
    return tuple(options)


def _one(text: bytes, at: int) -> tuple[Option, int]:
    name = _NAME.match(text, at)
    if name is None:
        raise MalformedFile(f"an option cannot start with {text[at : at + 1]!r}")
    shown = name.group().decode("ascii").lower()
    if text[name.end() : name.end() + 1] != b"=":
        return Option(shown), name.end()
    value = _VALUE.match(text, name.end() + 1)
    if value is None:
        raise MalformedFile(f"the value of option {shown!r} is not in quotes")
    plain = value.group(1).replace(b'\\"', b'"')
    return Option(shown, plain.decode("utf-8", "backslashreplace")), value.end()
