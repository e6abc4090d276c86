"""Answers made wrong on purpose: cut, too long, not canonical, signed wrongly, of another key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, TypeAlias, assert_never

from fidokit import cbor
from fidokit.errors import MalformedCbor

_MAKE_CREDENTIAL: Final = 0x01
_ASSERTIONS: Final = frozenset({0x02, 0x08})
_U2F_REGISTER: Final = 0x01
_U2F_AUTHENTICATE: Final = 0x02
_U2F_OK: Final = b"\x90\x00"
_U2F_HANDLE_AT: Final = 66
_CREDENTIAL_AT: Final = 53
"""Of authData: behind rpIdHash, flags, counter and AAGUID (WebAuthn section 6.1)."""

_MAP: Final = 0xA0
_MOST_DIRECT: Final = 23


@dataclass(frozen=True, slots=True)
class Truncate:
    """The answer without its end.

    Args:
        keep: bytes that are left, of at least one more; None for half of them.
    """

    keep: int | None = None


@dataclass(frozen=True, slots=True)
class Oversize:
    """The answer with zeros behind it.

    Args:
        size: bytes it gets; 7610 is one more than CTAPHID can carry.
    """

    size: int = 7610


class NonCanonicalForm(Enum):
    """What CTAP's canonical CBOR (CTAP 2.3 section 8) forbids."""

    INDEFINITE = auto()
    """A map whose end is marked, not counted."""
    OVERLONG = auto()
    """A count in more bytes than it needs."""
    UNSORTED = auto()
    """Keys in the wrong order."""
    DUPLICATE = auto()
    """The first key twice."""
    TRAILING = auto()
    """A byte behind the map."""


@dataclass(frozen=True, slots=True)
class NonCanonical:
    """The right answer in a form that CTAP forbids.

    Args:
        form: which.
    """

    form: NonCanonicalForm = NonCanonicalForm.OVERLONG


@dataclass(frozen=True, slots=True)
class WrongSignature:
    """A well-formed signature that does not verify: one bit is flipped."""


@dataclass(frozen=True, slots=True)
class WrongCredentialId:
    """Another credential's id: one bit is flipped."""


Spoiling: TypeAlias = Truncate | Oversize | NonCanonical | WrongSignature | WrongCredentialId


def spoil(fault: Spoiling, command: int, answer: bytes) -> bytes | None:
    """An answer to a CTAP2 command made wrong.

    Args:
        fault: how.
        command: the command's byte.
        answer: status byte and CBOR.

    Returns:
        None if the answer has nothing that this fault changes.
    """
    match fault:
        case Truncate(keep):
            return _truncated(answer, keep)
        case Oversize(size):
            return _padded(answer, size)
        case NonCanonical(form):
            return _within(answer, lambda members: _FORMS[form](answer[1:], members))
        case WrongSignature():
            return _within(answer, lambda members: _wrong_signature(command, members))
        case WrongCredentialId():
            return _within(answer, lambda members: _wrong_id(command, members))
        case _:
            assert_never(fault)


def spoil_u2f(fault: Spoiling, instruction: int, answer: bytes) -> bytes | None:
    """An answer to a U2F message made wrong; as `spoil`.

    Args:
        fault: how; `NonCanonical` changes nothing, for U2F has no CBOR.
        instruction: the APDU's.
        answer: data and status word.
    """
    match fault:
        case Truncate(keep):
            return _truncated(answer, keep)
        case Oversize(size):
            return _padded(answer, size)
        case NonCanonical():
            return None
        case WrongSignature():
            signed = instruction in {_U2F_REGISTER, _U2F_AUTHENTICATE}
            return _flipped(answer, -3) if signed and _u2f_done(answer) else None
        case WrongCredentialId():
            if instruction != _U2F_REGISTER or not _u2f_done(answer):
                return None
            return _flipped(answer, _U2F_HANDLE_AT + answer[_U2F_HANDLE_AT])
        case _:
            assert_never(fault)


def _u2f_done(answer: bytes) -> bool:
    return answer.endswith(_U2F_OK) and len(answer) > len(_U2F_OK)


def _truncated(answer: bytes, keep: int | None) -> bytes | None:
    left = len(answer) // 2 if keep is None else keep
    return answer[:left] if left < len(answer) else None


def _padded(answer: bytes, size: int) -> bytes | None:
    return answer.ljust(size, b"\0") if size > len(answer) else None


def _flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 0x01
    return bytes(changed)


Members: TypeAlias = dict[Any, Any]


def _within(answer: bytes, change: Callable[[Members], bytes | None]) -> bytes | None:
    """The answer with its map changed; None if it has none, or the change has no place."""
    if len(answer) < 2 or answer[0] != 0:
        return None
    try:
        members = cbor.decode(answer[1:])
    except MalformedCbor:
        return None
    body = change(members) if isinstance(members, dict) and members else None
    return None if body is None else answer[:1] + body


def _wrong_signature(command: int, members: Members) -> bytes | None:
    if command in _ASSERTIONS:
        return cbor.encode({**members, 3: _flipped(members[3], -1)})
    if command != _MAKE_CREDENTIAL or "sig" not in members[3]:
        return None
    statement = {**members[3], "sig": _flipped(members[3]["sig"], -1)}
    return cbor.encode({**members, 3: statement})


def _wrong_id(command: int, members: Members) -> bytes | None:
    if command in _ASSERTIONS and 1 in members:
        named = {**members[1], "id": _flipped(members[1]["id"], -1)}
        return cbor.encode({**members, 1: named})
    if command != _MAKE_CREDENTIAL:
        return None
    auth_data = members[2]
    length = int.from_bytes(auth_data[_CREDENTIAL_AT : _CREDENTIAL_AT + 2])
    return cbor.encode({**members, 2: _flipped(auth_data, _CREDENTIAL_AT + 1 + length)})


def _counted(items: list[bytes]) -> bytes:
    if len(items) > _MOST_DIRECT:
        return bytes([_MAP | 24, len(items)]) + b"".join(items)
    return bytes([_MAP | len(items)]) + b"".join(items)


def _items(members: Members) -> list[bytes]:
    return [cbor.encode(key) + cbor.encode(value) for key, value in members.items()]


def _overlong(_body: bytes, members: Members) -> bytes:
    return bytes([_MAP | 25]) + len(members).to_bytes(2) + b"".join(_items(members))


def _unsorted(_body: bytes, members: Members) -> bytes | None:
    return _counted(_items(members)[::-1]) if len(members) > 1 else None


_FORMS: Final[Mapping[NonCanonicalForm, Callable[[bytes, Members], bytes | None]]] = {
    NonCanonicalForm.INDEFINITE: lambda _body, members: (
        b"\xbf" + b"".join(_items(members)) + b"\xff"
    ),
    NonCanonicalForm.OVERLONG: _overlong,
    NonCanonicalForm.UNSORTED: _unsorted,
    NonCanonicalForm.DUPLICATE: lambda _body, members: _counted(
        [*_items(members)[:1], *_items(members)]
    ),
    NonCanonicalForm.TRAILING: lambda body, _members: body + b"\0",
}
