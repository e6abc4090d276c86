"""CTAP1: register, authenticate and check-only as raw messages (FIDO U2F Raw Message Formats 1.2).

A U2F token answers "touch me" (6985) at once, so waiting is polling, by the session's clock.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fidokit.client.answer import MISBEHAVIOR_HINT
from fidokit.errors import (
    CredentialNotFound,
    Interrupted,
    TokenMisbehaved,
    TokenRefused,
    TouchTimedOut,
)

if TYPE_CHECKING:
    from fidokit.client.connection import Connection

REGISTER: Final = 0x01
AUTHENTICATE: Final = 0x02
CHECK_ONLY: Final = 0x07
ENFORCE_TOUCH: Final = 0x03
NO_TOUCH: Final = 0x08

OK: Final = 0x9000
TOUCH_WANTED: Final = 0x6985
WRONG_DATA: Final = 0x6A80
TOUCH_S: Final = 30.0
"""Seconds that a touch is waited for, as tokens of CTAP2 do by themselves."""

POLL_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Registration:
    """u8 0x05, point (65 bytes), u8 length, key handle, certificate (DER), signature (DER)."""

    point: bytes
    key_handle: bytes
    certificate: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Authentication:
    """u8 user presence, u32 counter, signature (DER)."""

    presence: int
    counter: int
    signature: bytes


def register(
    connection: Connection, challenge: bytes, application: bytes, why: str
) -> Registration:
    """A new credential, after a touch.

    Args:
        challenge, application: SHA-256 digests, 32 bytes each.

    Raises:
        TouchTimedOut: nobody touched the token.
        TokenMisbehaved: the answer cannot be read.
    """
    return parse_registration(
        _touched(connection, _apdu(REGISTER, 0, challenge + application), why)
    )


def authenticate(  # the message has these parts
    connection: Connection,
    challenge: bytes,
    application: bytes,
    key_handle: bytes,
    why: str,
    *,
    touch: bool = True,
    stop: threading.Event | None = None,
) -> Authentication:
    """A signature with a credential, after a touch unless `touch` is false.

    Raises:
        Interrupted: `stop` was set.
        CredentialNotFound: the token did not make this key handle.
        TouchTimedOut: nobody touched the token.
        TokenMisbehaved: the answer cannot be read.
    """
    control = ENFORCE_TOUCH if touch else NO_TOUCH
    apdu = _apdu(AUTHENTICATE, control, _named(challenge, application, key_handle))
    return parse_authentication(_touched(connection, apdu, why, stop))


def holds(connection: Connection, application: bytes, key_handle: bytes) -> bool:
    """Whether the token made this key handle for this application; no touch is asked for."""
    if not 1 <= len(key_handle) <= 255:
        return False
    request = _apdu(AUTHENTICATE, CHECK_ONLY, _named(bytes(32), application, key_handle))
    return connection.u2f(request)[1] in (OK, TOUCH_WANTED)


def wait_for_touch(connection: Connection, why: str, stop: threading.Event | None) -> None:
    """Return when the token was touched, by a registration that nobody keeps.

    Raises:
        TouchTimedOut: nobody touched it.
        Interrupted: `stop` was set.
    """
    dummy = hashlib.sha256(b".dummy").digest()
    _touched(connection, _apdu(REGISTER, 0, dummy + dummy), why, stop)


def _named(challenge: bytes, application: bytes, key_handle: bytes) -> bytes:
    if not 1 <= len(key_handle) <= 255:
        raise CredentialNotFound(
            "the key handle is not one that a U2F token makes",
            hint="plug in the token that made the key",
        )
    return challenge + application + bytes([len(key_handle)]) + key_handle


def _apdu(instruction: int, control: int, data: bytes) -> bytes:
    """An extended-length APDU: CLA INS P1 P2 00 Lc Lc data Le Le."""
    head = bytes([0, instruction, control, 0, 0]) + len(data).to_bytes(2, "big")
    return head + data + b"\0\0"


def _touched(
    connection: Connection, apdu: bytes, why: str, stop: threading.Event | None = None
) -> bytes:
    data, status = connection.u2f(apdu)
    if status == TOUCH_WANTED:
        with connection.announced_touch(why):
            data, status = _polled(connection, apdu, stop)
    if status == OK:
        return data
    if status == WRONG_DATA:
        raise CredentialNotFound(
            f"{why} failed: the token does not hold this key",
            hint="plug in the token that made the key",
        )
    raise TokenRefused(
        f"{why} failed: the token answered U2F status 0x{status:04x}",
        status=status & 0xFF or 0x7F,
        hint=MISBEHAVIOR_HINT,
    )


def _polled(connection: Connection, apdu: bytes, stop: threading.Event | None) -> tuple[bytes, int]:
    patience = connection.patience
    seconds = min(TOUCH_S, patience.total)
    deadline = patience.clock() + seconds
    while patience.clock() < deadline:
        patience.sleep(POLL_SECONDS)
        if stop is not None and stop.is_set():
            raise Interrupted("the waiting for a touch was canceled")
        data, status = connection.u2f(apdu)
        if status != TOUCH_WANTED:
            return data, status
    raise TouchTimedOut(
        f"the token waited for a touch, and nobody touched it for {seconds:.0f} seconds",
        hint="repeat, and touch the token when it blinks",
    )


def parse_registration(data: bytes) -> Registration:
    """The parts of a registration answer.

    Raises:
        TokenMisbehaved: it is cut short or not one.
    """
    handle_end = 67 + (data[66] if len(data) > 66 else 0)
    certificate_end = handle_end + _der_size(data[handle_end : handle_end + 6])
    if data[:2] != b"\x05\x04" or handle_end == 67 or not 70 <= certificate_end < len(data):
        raise TokenMisbehaved("the token's U2F registration cannot be read", hint=MISBEHAVIOR_HINT)
    return Registration(
        point=data[1:66],
        key_handle=data[67:handle_end],
        certificate=data[handle_end:certificate_end],
        signature=data[certificate_end:],
    )


def _der_size(head: bytes) -> int:
    """Length in bytes of the DER SEQUENCE that begins with `head`; huge where it is none."""
    if len(head) < 2 or head[0] != 0x30:
        return 1 << 32
    if head[1] < 0x80:
        return 2 + head[1]
    count = head[1] & 0x7F
    if not 1 <= count <= 3 or len(head) < 2 + count:
        return 1 << 32
    return 2 + count + int.from_bytes(head[2 : 2 + count], "big")


def parse_authentication(data: bytes) -> Authentication:
    """The parts of an authentication answer.

    Raises:
        TokenMisbehaved: it is cut short.
    """
    if not 5 + 8 <= len(data) <= 5 + 72:
        raise TokenMisbehaved("the token's U2F signature cannot be read", hint=MISBEHAVIOR_HINT)
    return Authentication(data[0], int.from_bytes(data[1:5], "big"), data[5:])
