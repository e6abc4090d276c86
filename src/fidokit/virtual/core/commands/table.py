"""Which module serves which command byte; the only list of commands there is.

A module is imported when its command first comes: a program that opens a token for a moment sends
two or three of them, and all together take 10 ms to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from fidokit.virtual.core.context import Command, TokenContext

if TYPE_CHECKING:
    from fidokit.virtual.core.ports import Steps

COMMANDS: Mapping[int, str] = MappingProxyType(
    {
        0x01: "make_credential:COMMAND",
        0x02: "get_assertion:COMMAND",
        0x04: "get_info:COMMAND",
        0x06: "client_pin:COMMAND",
        0x07: "reset:COMMAND",
        0x08: "get_assertion:NEXT_COMMAND",
        0x09: "bio_enrollment:COMMAND",
        0x0A: "credential_management:COMMAND",
        0x0B: "reset:SELECTION",
        0x0C: "large_blobs:COMMAND",
        0x0D: "config:COMMAND",
        0x40: "bio_enrollment:PREVIEW_COMMAND",
        0x41: "credential_management:PREVIEW_COMMAND",
    }
)
"""Command byte to `module:name` of its `Command` in this package."""


@cache
def find(number: int) -> Command | None:
    """The command of a byte, or None if nobody serves it."""
    target = COMMANDS.get(number)
    if target is None:
        return None
    module, _, name = target.partition(":")
    command = getattr(import_module(f"fidokit.virtual.core.commands.{module}"), name)
    assert isinstance(command, Command)  # noqa: S101  the table and the modules agree
    return command


def message(token: TokenContext, apdu: bytes) -> bytes | Steps[bytes]:
    """Serve a U2F raw message: reply data and status word, judged and encoded by its module."""
    from fidokit.virtual.core.commands import u2f

    return u2f.message(token, apdu)
