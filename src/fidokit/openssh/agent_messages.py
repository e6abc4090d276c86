"""The SSH agent protocol: frames, requests and answers; bytes to values and back.

Sources: draft-ietf-sshm-ssh-agent sections 3 and 5, OpenSSH PROTOCOL.agent. A frame is a uint32
length and as many bytes: a type byte and its fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from fidokit.errors import MalformedKey
from fidokit.openssh import wire
from fidokit.openssh.agent_constraints import Constraints, read_constraints
from fidokit.openssh.certificates.certificate import parse_host_key
from fidokit.openssh.keys.plain_private import AnyPrivate, read_any_private
from fidokit.openssh.signatures.signature import Signature, parse_signature
from fidokit.openssh.wire import Reader

MAX_FRAME: Final = 256 * 1024
"""Longest request or answer, bytes without its length, as OpenSSH has it (authfd.c)."""

_WHAT: Final = "agent message"
_HEAD: Final = 4


class Type(IntEnum):
    """Message numbers (section 5.1 of the draft); from 5 to 6, 12, 14, 28 and 29 are answers."""

    FAILURE = 5
    SUCCESS = 6
    REMOVE_ALL_V1 = 9
    REQUEST_IDENTITIES = 11
    IDENTITIES_ANSWER = 12
    SIGN_REQUEST = 13
    SIGN_RESPONSE = 14
    ADD_IDENTITY = 17
    REMOVE_IDENTITY = 18
    REMOVE_ALL = 19
    ADD_SMARTCARD = 20
    REMOVE_SMARTCARD = 21
    LOCK = 22
    UNLOCK = 23
    ADD_CONSTRAINED = 25
    ADD_SMARTCARD_CONSTRAINED = 26
    EXTENSION = 27
    EXTENSION_FAILURE = 28
    EXTENSION_RESPONSE = 29


FAILURE: Final = bytes([Type.FAILURE])
SUCCESS: Final = bytes([Type.SUCCESS])
EXTENSION_FAILURE: Final = bytes([Type.EXTENSION_FAILURE])
REQUEST_IDENTITIES: Final = bytes([Type.REQUEST_IDENTITIES])

SESSION_BIND: Final = "session-bind@openssh.com"
QUERY: Final = "query"


# --- frames --------------------------------------------------------------------------------


def frame(payload: bytes) -> bytes:
    """A message as it goes over the socket."""
    return len(payload).to_bytes(_HEAD, "big") + payload


class FrameReader:
    """Cuts a stream into payloads; keeps at most one frame and what was fed last."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes that were fed and not yet given out."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take bytes as they come from the socket."""
        self._buffer += data

    def whole(self, data: bytes) -> bytes | None:
        """The payload, where nothing is kept and `data` is just one frame; else nothing happens."""
        size = len(data) - _HEAD
        if self._buffer or not 0 < size <= MAX_FRAME or int.from_bytes(data[:_HEAD], "big") != size:
            return None
        return data[_HEAD:]

    def next(self) -> bytes | None:
        """The next payload, None if it is not whole yet.

        Raises:
            MalformedKey: a length of 0 or above `MAX_FRAME`; the stream cannot be followed further.
        """
        buffer = self._buffer
        if len(buffer) < _HEAD:
            return None
        end = _HEAD + int.from_bytes(buffer[:_HEAD], "big")
        if not _HEAD < end <= _HEAD + MAX_FRAME:
            raise MalformedKey(f"{_WHAT}: a frame of {end - _HEAD} bytes")
        if len(buffer) < end:
            return None
        payload = bytes(buffer[_HEAD:end])
        del buffer[:end]
        return payload


# --- requests ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListKeys:
    """A request that is its number alone."""


@dataclass(frozen=True, slots=True)
class SignRequest:
    """string key blob, string data, uint32 flags."""

    blob: bytes
    data: bytes = field(repr=False)
    flags: int = 0

    def encode(self) -> bytes:
        """The payload, without the length before it."""
        fields = wire.string(self.blob) + wire.string(self.data) + wire.u32(self.flags)
        return bytes([Type.SIGN_REQUEST]) + fields


@dataclass(frozen=True, slots=True)
class AddKey:
    """The private key's fields, string comment, constraints to the end (25 alone)."""

    key: AnyPrivate
    comment: str
    constraints: Constraints


@dataclass(frozen=True, slots=True)
class RemoveKey:
    """string key blob of the key to be forgotten."""

    blob: bytes


@dataclass(frozen=True, slots=True)
class RemoveAll:
    """A request that is its number alone."""


@dataclass(frozen=True, slots=True)
class Smartcard:
    """string reader, string PIN, constraints (26 alone); the PIN is not kept."""

    reader: str
    adding: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """string passphrase, under which the agent locks itself."""

    passphrase: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Unlock:
    """string passphrase, which must be that of the lock."""

    passphrase: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class AgentExtension:
    """string name, and what that name makes of the rest."""

    name: str
    body: bytes = b""

    def encode(self) -> bytes:
        """The payload, without the length before it."""
        return bytes([Type.EXTENSION]) + wire.text(self.name) + self.body


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a number that is not a request here."""

    number: int


Request = (
    ListKeys
    | SignRequest
    | AddKey
    | RemoveKey
    | RemoveAll
    | Smartcard
    | Lock
    | Unlock
    | AgentExtension
    | Unknown
)


def _list(_reader: Reader) -> Request:
    return ListKeys()


def _sign(reader: Reader) -> Request:
    return SignRequest(reader.string(), reader.string(), reader.u32())


def _comment(reader: Reader) -> str:
    """OpenSSH takes any bytes but NUL, and gives them back; what is not UTF-8 is surrogates."""
    comment = reader.string()
    if b"\0" in comment:
        raise MalformedKey(f"{_WHAT}: the comment holds a NUL")
    return _text(comment)


def _add(reader: Reader) -> Request:
    """Without constraints; OpenSSH reads them here too, and so does this."""
    data = reader.raw(reader.remaining)
    key, size = read_any_private(data)
    rest = Reader(data[size:], _WHAT)
    return AddKey(key, _comment(rest), read_constraints(rest))


def _remove(reader: Reader) -> Request:
    return RemoveKey(reader.string())


def _remove_all(_reader: Reader) -> Request:
    return RemoveAll()


def _smartcard(*, adding: bool, constrained: bool = False) -> Callable[[Reader], Request]:
    def read(reader: Reader) -> Request:
        name = reader.text()
        reader.string()
        if constrained:
            read_constraints(reader)
        return Smartcard(name, adding)

    return read


def _lock(reader: Reader) -> Request:
    return Lock(reader.string())


def _unlock(reader: Reader) -> Request:
    return Unlock(reader.string())


def _extension(reader: Reader) -> Request:
    return AgentExtension(reader.text(), reader.raw(reader.remaining))


_READERS: Final[Mapping[int, Callable[[Reader], Request]]] = {
    Type.REQUEST_IDENTITIES: _list,
    Type.SIGN_REQUEST: _sign,
    Type.ADD_IDENTITY: _add,
    Type.ADD_CONSTRAINED: _add,
    Type.REMOVE_IDENTITY: _remove,
    Type.REMOVE_ALL: _remove_all,
    Type.REMOVE_ALL_V1: _remove_all,
    Type.ADD_SMARTCARD: _smartcard(adding=True),
    Type.ADD_SMARTCARD_CONSTRAINED: _smartcard(adding=True, constrained=True),
    Type.REMOVE_SMARTCARD: _smartcard(adding=False),
    Type.LOCK: _lock,
    Type.UNLOCK: _unlock,
    Type.EXTENSION: _extension,
}
_KINDS: Final[Mapping[int, type[Request]]] = {
    Type.REQUEST_IDENTITIES: ListKeys,
    Type.SIGN_REQUEST: SignRequest,
    Type.ADD_IDENTITY: AddKey,
    Type.ADD_CONSTRAINED: AddKey,
    Type.REMOVE_IDENTITY: RemoveKey,
    Type.REMOVE_ALL: RemoveAll,
    Type.REMOVE_ALL_V1: RemoveAll,
    Type.ADD_SMARTCARD: Smartcard,
    Type.ADD_SMARTCARD_CONSTRAINED: Smartcard,
    Type.REMOVE_SMARTCARD: Smartcard,
    Type.LOCK: Lock,
    Type.UNLOCK: Unlock,
    Type.EXTENSION: AgentExtension,
}
_OPEN_ENDED: Final = frozenset({Type.REMOVE_ALL_V1, Type.REQUEST_IDENTITIES, Type.REMOVE_ALL})
"""Requests without fields; some clients put bytes behind them, and OpenSSH does not look."""


def kind_of(payload: bytes) -> type[Request]:
    """What a request is, by its number alone: nothing behind it is looked at."""
    return _KINDS.get(payload[0], Unknown) if payload else Unknown


def parse_request(payload: bytes) -> Request:
    """The request in a payload, at most `MAX_FRAME` bytes.

    Raises:
        MalformedKey: empty, or fields that break the layout of its type.
    """
    reader = Reader(payload, _WHAT)
    number = reader.u8()
    read = _READERS.get(number)
    if read is None:
        return Unknown(number)
    request = read(reader)
    if number not in _OPEN_ENDED:
        reader.end()
    return request


def encode_add(private: bytes, comment: str, constraints: Constraints | None = None) -> bytes:
    """The payload that adds a key.

    Args:
        private: its fields, as `SkPrivate.encode` gives them.
        comment: what names it in lists.
        constraints: None adds it without any, which every agent understands.
    """
    if constraints is None or constraints == Constraints():
        return bytes([Type.ADD_IDENTITY]) + private + wire.string(_bytes(comment))
    head = bytes([Type.ADD_CONSTRAINED])
    return head + private + wire.string(_bytes(comment)) + constraints.encode()


def encode_remove(blob: bytes) -> bytes:
    """The payload that removes a key."""
    return bytes([Type.REMOVE_IDENTITY]) + wire.string(blob)


# --- answers -------------------------------------------------------------------------------


def _bytes(comment: str) -> bytes:
    """A comment as it came: bytes that were not UTF-8 are surrogates."""
    return comment.encode("utf-8", "surrogateescape")


def encode_identities(keys: Iterable[tuple[bytes, str]]) -> bytes:
    """byte 12, uint32 count, then string blob, string comment for each key."""
    parts = [wire.string(blob) + wire.string(_bytes(comment)) for blob, comment in keys]
    return bytes([Type.IDENTITIES_ANSWER]) + wire.u32(len(parts)) + b"".join(parts)


def parse_identities(payload: bytes) -> list[tuple[bytes, str]]:
    """Blobs and comments in an answer of type 12.

    Raises:
        MalformedKey: another type or layout.
    """
    reader = Reader(payload, _WHAT)
    if reader.u8() != Type.IDENTITIES_ANSWER:
        raise MalformedKey(f"{_WHAT}: the agent did not answer with its keys")
    count = reader.u32()
    keys = [(reader.string(), _text(reader.string())) for _ in range(count)]
    reader.end()
    return keys


def _text(comment: bytes) -> str:
    return comment.decode("utf-8", "surrogateescape")


def encode_signature(blob: bytes) -> bytes:
    """byte 14, string signature."""
    return bytes([Type.SIGN_RESPONSE]) + wire.string(blob)


def parse_signature_answer(payload: bytes) -> Signature:
    """The signature in an answer of type 14.

    Raises:
        MalformedKey: another type or layout.
    """
    reader = Reader(payload, _WHAT)
    if reader.u8() != Type.SIGN_RESPONSE:
        raise MalformedKey(f"{_WHAT}: the agent did not answer with a signature")
    signature = parse_signature(reader.string())
    reader.end()
    return signature


def encode_query(names: Iterable[str]) -> bytes:
    """The answer to the extension `query`: byte 29, string "query", a string for each name.

    Source: draft-ietf-sshm-ssh-agent section 3.8.1.
    """
    listed = b"".join(map(wire.text, names))
    return bytes([Type.EXTENSION_RESPONSE]) + wire.text(QUERY) + listed


def parse_query(payload: bytes) -> list[str]:
    """The names in an answer to `query`.

    Raises:
        MalformedKey: another answer.
    """
    reader = Reader(payload, _WHAT)
    if reader.u8() != Type.EXTENSION_RESPONSE:
        raise MalformedKey(f"{_WHAT}: the agent does not know the extension query")
    reader.expect(QUERY.encode())
    return list(_texts(reader))


def _texts(reader: Reader) -> Iterator[str]:
    while reader.remaining:
        yield reader.text()


# --- session-bind --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionBind:
    """string host key, string session id, string signature, bool is_forwarding.

    Source: OpenSSH PROTOCOL.agent section 1; `raw_signature` is the blob as it came.
    """

    host_key: bytes
    session_id: bytes
    raw_signature: bytes = field(repr=False)
    forwarding: bool

    def encode(self) -> bytes:
        """The body of the extension."""
        fields = (self.host_key, self.session_id, self.raw_signature)
        return b"".join(map(wire.string, fields)) + wire.u8(self.forwarding)


def parse_session_bind(body: bytes) -> SessionBind:
    """The fields of the extension's body; keys and signature are looked at later.

    Raises:
        MalformedKey: another layout, or a host key that cannot be read.
    """
    reader = Reader(body, _WHAT)
    host_key, session_id, signature = reader.string(), reader.string(), reader.string()
    forwarding = bool(reader.u8())
    reader.end()
    parse_host_key(host_key)
    return SessionBind(host_key, session_id, signature, forwarding)
