"""Which module serves which command byte; the only list of commands there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fidokit.virtual.core.context import Command, TokenContext
from fidokit.virtual.core.ports import Steps

MessageHandler = Callable[[TokenContext, bytes], "bytes | Steps[bytes]"]
"""Serves U2F raw messages: reply data and status word, judged and encoded by itself."""

COMMANDS: Mapping[int, Command] = MappingProxyType({})


def no_u2f(_token: TokenContext, _apdu: bytes) -> bytes:
    """A token without CTAP1: no instruction is supported (6D00)."""
    return b"\x6d\x00"


MESSAGE: MessageHandler = no_u2f
