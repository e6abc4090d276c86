"""Which module serves which command byte; the only list of commands there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from fidokit.virtual.core import (
    bio_enrollment,
    client_pin,
    config,
    credential_management,
    get_assertion,
    info,
    large_blobs,
    make_credential,
    reset,
    selection,
    u2f,
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
        0x09: bio_enrollment.COMMAND,
        0x0A: credential_management.COMMAND,
        0x0B: selection.COMMAND,
        0x0C: large_blobs.COMMAND,
        0x0D: config.COMMAND,
        0x40: bio_enrollment.PREVIEW_COMMAND,
        0x41: credential_management.PREVIEW_COMMAND,
    }
)


MESSAGE: MessageHandler = u2f.message
