"""Which module serves which command byte; the only list of commands there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fidokit.virtual.core import (
    client_pin,
    get_assertion,
    info,
    make_credential,
    reset,
    selection,
)
from fidokit.virtual.core.context import Command, TokenContext
from fidokit.virtual.core.ports import Steps

MessageHandler = Callable[[TokenContext, bytes], "bytes | Steps[bytes]"]
"""Serves U2F raw messages: reply data and status word, judged and encoded by itself."""

COMMANDS: Mapping[int, Command] = MappingProxyType(
    {
        0x01: make_credential.COMMAND,
        0x02: get_assertion.COMMAND,
        0x04: info.COMMAND,
        0x06: client_pin.COMMAND,
        0x07: reset.COMMAND,
        0x08: get_assertion.NEXT_COMMAND,
        0x0B: selection.COMMAND,
    }
)


def no_u2f(_token: TokenContext, _apdu: bytes) -> bytes:
    """A token without CTAP1: no instruction is supported (6D00)."""
    return b"\x6d\x00"


MESSAGE: MessageHandler = no_u2f
