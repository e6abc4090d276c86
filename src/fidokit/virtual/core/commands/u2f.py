"""CTAP1: U2F raw messages over the same credentials (FIDO U2F Raw Message Formats v1.2).

A U2F key handle is the id of a wrapped ES256 credential of the application parameter, so what one
protocol made the other one uses (CTAP 2.3 sections 7.2 and 7.3).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from fidokit.types import CoseAlg, CredProtect
from fidokit.virtual.core.attestation.statements import u2f_registration
from fidokit.virtual.core.context import TokenContext
from fidokit.virtual.core.keys.credentials import Credential
from fidokit.virtual.core.person import presence
from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind, Steps

_HASH: Final = 32
_RESERVED: Final = b"\x05"


class Sw(IntEnum):
    """ISO 7816 status words that U2F uses."""

    NO_ERROR = 0x9000
    WRONG_LENGTH = 0x6700
    CONDITIONS_NOT_SATISFIED = 0x6985
    COMMAND_NOT_ALLOWED = 0x6986
    WRONG_DATA = 0x6A80
    INCORRECT_P1_P2 = 0x6A86
    INS_NOT_SUPPORTED = 0x6D00
    CLA_NOT_SUPPORTED = 0x6E00


class _Refusal(Exception):
    def __init__(self, word: Sw) -> None:
        super().__init__(word.name)
        self.word = word


@dataclass(frozen=True, slots=True)
class _Message:
    """A command APDU taken apart."""

    p1: int
    data: bytes


_Handler = Callable[[TokenContext, _Message], "bytes | Steps[bytes]"]


def message(token: TokenContext, apdu: bytes) -> Steps[bytes]:
    """Serve one U2F raw message.

    Args:
        token: the powered token.
        apdu: CLA 00, INS, P1, P2, then length, data and expected length, short or extended.

    Returns:
        Data and status word; it never waits, a missing touch is answered at once.
    """
    try:
        answer = _serve(token, apdu)
        data = (yield from answer) if isinstance(answer, Generator) else answer
    except _Refusal as refusal:
        return refusal.word.to_bytes(2)
    return data + Sw.NO_ERROR.to_bytes(2)


def _serve(token: TokenContext, apdu: bytes) -> bytes | Steps[bytes]:
    if not token.profile.has_u2f:
        raise _Refusal(Sw.INS_NOT_SUPPORTED)
    if len(apdu) < 4:
        raise _Refusal(Sw.WRONG_LENGTH)
    if apdu[0] != 0:
        raise _Refusal(Sw.CLA_NOT_SUPPORTED)
    handler = _INSTRUCTIONS.get(apdu[1])
    if handler is None:
        raise _Refusal(Sw.INS_NOT_SUPPORTED)
    return handler(token, _Message(apdu[2], _data(apdu[4:])))


def _data(body: bytes) -> bytes:
    """The data field behind the header (ISO 7816-4 section 5.1, cases 1 to 4, both forms)."""
    if len(body) <= 1:
        return b""
    extended = body[0] == 0
    if extended and len(body) < 3:
        raise _Refusal(Sw.WRONG_LENGTH)
    start, le_size = (3, 2) if extended else (1, 1)
    if extended and len(body) == start:
        return b""  # only an expected length
    end = start + int.from_bytes(body[:start])
    if len(body) not in (end, end + le_size):
        raise _Refusal(Sw.WRONG_LENGTH)
    return body[start:end]


def _version(_token: TokenContext, sent: _Message) -> bytes:
    if sent.data:
        raise _Refusal(Sw.WRONG_LENGTH)
    return b"U2F_V2"


def _register(token: TokenContext, sent: _Message) -> Steps[bytes]:
    if len(sent.data) != 2 * _HASH:
        raise _Refusal(Sw.WRONG_LENGTH)
    _check_verification_possible(token)
    yield from _gesture(token)
    challenge, application = sent.data[:_HASH], sent.data[_HASH:]
    credential = token.credentials.wrap(
        application, CoseAlg.ES256, longest=token.profile.max_credential_id_length
    )
    handle, point = credential.id, token.credentials.key(credential).u2f_point() or b""
    signature = token.attestation_key.sign(u2f_registration(application, challenge, handle, point))
    head = _RESERVED + point + len(handle).to_bytes(1) + handle
    return head + token.state.attestation_certificate + signature


def _authenticate(token: TokenContext, sent: _Message) -> Steps[bytes]:
    control = _CONTROLS.get(sent.p1)
    if control is None:
        raise _Refusal(Sw.INCORRECT_P1_P2)
    challenge, application = sent.data[:_HASH], sent.data[_HASH : 2 * _HASH]
    handle = sent.data[2 * _HASH + 1 :]
    if len(sent.data) <= 2 * _HASH or sent.data[2 * _HASH] != len(handle):
        raise _Refusal(Sw.WRONG_LENGTH)
    _check_verification_possible(token)
    credential = _usable(token, application, handle)
    if control.only_looks:
        raise _Refusal(Sw.CONDITIONS_NOT_SATISFIED)  # which says here: yes, this is mine
    if control.needs_touch:
        yield from _gesture(token)
    flags = control.needs_touch.to_bytes(1)
    rising = token.next_counter(credential).to_bytes(4)
    signed = application + flags + rising + challenge
    return flags + rising + token.credentials.key(credential).sign(signed)


def _usable(token: TokenContext, application: bytes, handle: bytes) -> Credential:
    """The credential behind a handle; U2F cannot verify its user, nor use other algorithms."""
    credential = token.credentials.find(application, handle)
    if (
        credential is None
        or credential.alg is not CoseAlg.ES256
        or credential.cred_protect is CredProtect.UV_REQUIRED
    ):
        raise _Refusal(Sw.WRONG_DATA)
    return credential


def _check_verification_possible(token: TokenContext) -> None:
    """U2F knows no PIN, so under alwaysUv it takes a sensor (CTAP 2.3 section 7.2.4)."""
    if token.always_uv and not (token.uv_configured and token.state.uv_retries):
        raise _Refusal(Sw(token.profile.behavior.u2f_under_always_uv))


def _gesture(token: TokenContext) -> Steps[None]:
    """A touch, or under alwaysUv one that the sensor recognizes; what is missing is 6985."""
    if token.always_uv:
        there = yield from presence.verify_now(token)
    else:
        outcome = yield NeedsPresence(PresenceKind.TOUCH_NOW, token.clock.now_ms())
        there = outcome is Outcome.TOUCHED
    if not there:
        raise _Refusal(Sw.CONDITIONS_NOT_SATISFIED)


@dataclass(frozen=True, slots=True)
class _Control:
    """What P1 of an authentication asks for."""

    needs_touch: bool
    only_looks: bool = False


_CONTROLS: Final[Mapping[int, _Control]] = MappingProxyType(
    {
        0x03: _Control(needs_touch=True),
        0x07: _Control(needs_touch=False, only_looks=True),
        0x08: _Control(needs_touch=False),
    }
)

_INSTRUCTIONS: Final[Mapping[int, _Handler]] = MappingProxyType(
    {0x01: _register, 0x02: _authenticate, 0x03: _version}
)
