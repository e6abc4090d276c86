"""What sk_fidokit.c and the service say to each other: one request, one reply.

Numbers are OpenSSH's (sk-api.h, version 10); strings and integers are SSH's (RFC 4251 section 5).
The library asks by writing the request and closing its direction; the reply ends with the
connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.wire import Reader

LONGEST: Final = 4 << 20
"""Bytes of a message either way; the library refuses longer ones."""
MOST_OPTIONS: Final = 64
"""ssh-keygen passes two."""
API_VERSIONS: Final = (10, 9)
"""Versions of sk-api.h that the library is built for, the usual one first."""


NEWEST: Final = 10
CAN_ASK: Final = 10
"""The first sk-api whose programs know "credential exists", and ask whether to replace it."""


class Operation(IntEnum):
    """Which of sk-api.h's functions was called."""

    ENROLL = 1
    SIGN = 2
    LOAD_RESIDENT_KEYS = 3


class SkError(IntEnum):
    """What sk-api.h's functions return, without its minus sign (SSH_SK_ERR_*)."""

    GENERAL = 1
    UNSUPPORTED = 2
    PIN_REQUIRED = 3
    DEVICE_NOT_FOUND = 4
    CREDENTIAL_EXISTS = 5


@dataclass(frozen=True, slots=True)
class SkOption:
    """string name, string value, byte required: struct sk_option, from `ssh-keygen -O`."""

    name: str
    value: str
    required: bool

    def encode(self) -> bytes:
        """The bytes of its wire form."""
        return wire.text(self.name) + wire.text(self.value) + wire.u8(self.required)


@dataclass(frozen=True, slots=True)
class Request:
    """byte sk-api version, byte operation, byte flags, byte whether a PIN follows, string PIN,
    uint32 count and as many options;
    to enroll, uint32 algorithm, string application, string challenge;
    to sign, uint32 algorithm, string application, string message, string key handle.

    `data` is the challenge or the message; `alg` is a number that the caller chose.
    """

    api: int
    operation: Operation
    flags: int = 0
    pin: str | None = field(default=None, repr=False)
    options: Sequence[SkOption] = ()
    alg: int = 0
    application: str = ""
    data: bytes = b""
    key_handle: bytes = b""

    def encode(self) -> bytes:
        """The bytes of its wire form."""
        head = bytes([self.api, self.operation, self.flags, self.pin is not None])
        parts = [head, wire.text(self.pin or ""), wire.u32(len(self.options))]
        parts += [option.encode() for option in self.options]
        if self.operation is not Operation.LOAD_RESIDENT_KEYS:
            parts += [wire.u32(self.alg), wire.text(self.application), wire.string(self.data)]
        if self.operation is Operation.SIGN:
            parts.append(wire.string(self.key_handle))
        return b"".join(parts)


def parse_request(message: bytes) -> Request:
    """What the library asks.

    Raises:
        MalformedKey: it is none of the library's; its text is not shown, for it may hold a PIN.
    """
    reader = Reader(message, "request")
    api, operation, flags, has_pin = reader.u8(), _operation(reader), reader.u8(), reader.u8()
    pin = reader.text()
    options = _options(reader)
    alg, application, data, key_handle = 0, "", b"", b""
    if operation is not Operation.LOAD_RESIDENT_KEYS:
        alg, application, data = reader.u32(), reader.text(), reader.string()
    if operation is Operation.SIGN:
        key_handle = reader.string()
    reader.end()
    given = pin if has_pin else None
    return Request(api, operation, flags, given, options, alg, application, data, key_handle)


def _operation(reader: Reader) -> Operation:
    number = reader.u8()
    try:
        return Operation(number)
    except ValueError:
        raise MalformedKey(f"request: there is no operation {number}") from None


def _options(reader: Reader) -> tuple[SkOption, ...]:
    count = reader.u32()
    if count > MOST_OPTIONS:
        raise MalformedKey(f"request: {count} options are too many")
    return tuple(SkOption(reader.text(), reader.text(), bool(reader.u8())) for _ in range(count))


# --- replies ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """byte error, other than 0."""

    error: SkError

    def encode(self) -> bytes:
        """The bytes of its wire form."""
        return wire.u8(self.error)


@dataclass(frozen=True, slots=True)
class EnrollReply:
    """byte 0, byte flags, string public key, string key handle, string attestation signature,
    string attestation certificate (DER), string authData (CBOR byte string).

    Source: struct sk_enroll_response. The public key is the point alone: 65 bytes for ECDSA,
    32 for Ed25519.
    """

    flags: int
    public_key: bytes
    key_handle: bytes
    signature: bytes
    attestation_cert: bytes
    auth_data: bytes

    def encode(self) -> bytes:
        """The bytes of its wire form."""
        strings = (
            *(self.public_key, self.key_handle, self.signature),
            *(self.attestation_cert, self.auth_data),
        )
        return bytes([0, self.flags]) + b"".join(map(wire.string, strings))


@dataclass(frozen=True, slots=True)
class SignReply:
    """byte 0, byte flags, uint32 counter, string r, string s.

    Source: struct sk_sign_response. ECDSA's numbers are without leading zeros; Ed25519's 64
    bytes are all in r.
    """

    flags: int
    counter: int
    r: bytes
    s: bytes = b""

    def encode(self) -> bytes:
        """The bytes of its wire form."""
        head = bytes([0, self.flags]) + wire.u32(self.counter)
        return head + wire.string(self.r) + wire.string(self.s)


@dataclass(frozen=True, slots=True)
class ResidentKey:
    """uint32 algorithm, string application, byte flags, string user id, string public key,
    string key handle.

    Source: struct sk_resident_key.
    """

    alg: int
    application: str
    flags: int
    user_id: bytes
    public_key: bytes
    key_handle: bytes

    def encode(self) -> bytes:
        """The bytes of its wire form."""
        strings = (self.user_id, self.public_key, self.key_handle)
        head = wire.u32(self.alg) + wire.text(self.application) + wire.u8(self.flags)
        return head + b"".join(map(wire.string, strings))


@dataclass(frozen=True, slots=True)
class LoadReply:
    """byte 0, uint32 count, and as many resident keys."""

    keys: Sequence[ResidentKey]

    def encode(self) -> bytes:
        """The bytes of its wire form."""
        return b"\0" + wire.u32(len(self.keys)) + b"".join(key.encode() for key in self.keys)


Reply = ErrorReply | EnrollReply | SignReply | LoadReply
