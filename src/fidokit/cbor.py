"""CTAP2's canonical CBOR (CTAP 2.3 section 8), strictly: a value has one encoding, all else fails.

The subset is what CTAP messages are made of: integers, byte strings, text, arrays, maps, true,
false and null; and floating-point numbers, which no message has, but which a member that nobody
knows may have. Only the virtual authenticator, and checks on raw answers, use it; the client side
keeps python-fido2's codec, so that both cannot agree on one mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn, TypeAlias

from fidokit.errors import MalformedCbor


@dataclass(frozen=True, slots=True)
class CborFloat:
    """A floating-point number as it was encoded; CTAP has no use for its value.

    Canonical CBOR of CTAP does not change how such a number is represented (CTAP 2.3 section 8), so
    each of the three widths is as good as the others.

    Args:
        encoding: 3, 5 or 9 bytes.
    """

    encoding: bytes


CborKey: TypeAlias = "int | str | bytes"
CborValue: TypeAlias = (
    "int | bytes | str | bool | list[CborValue] | dict[CborKey, CborValue] | CborFloat | None"
)
Encodable: TypeAlias = (
    "int | bytes | str | bool | Sequence[Encodable] | Mapping[Any, Encodable] | CborFloat | None"
)

MAX_DEPTH: Final = 4
"""Levels of arrays and maps that CTAP 2.3 section 8 allows."""

_HINT: Final = "CTAP allows only canonical CBOR: see CTAP 2.3 section 8"
_LOWEST: Final = -(1 << 63)
_HIGHEST: Final = (1 << 64) - 1

_KEY_KINDS: Final = (int, str, bytes)
_KEY_TYPES: Final = frozenset(_KEY_KINDS)

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)


def encode(value: Encodable) -> bytes:
    """Return the canonical encoding of `value`.

    Args:
        value: an integer from -2^63 to 2^64-1, bytes, str, bool, None, a `CborFloat`, a list or
            tuple of such, or a mapping whose keys are integers, text or bytes.

    Raises:
        MalformedCbor: a number or text that canonical CBOR cannot carry.
        TypeError: a value of any other type.
    """
    writer = _WRITERS.get(type(value))
    return (writer or _writer_for(value))(value)


def decode(data: bytes, *, max_depth: int = MAX_DEPTH) -> CborValue:
    """Return the one value that `data` holds.

    Args:
        data: the whole encoding; memory use is bounded by its length.
        max_depth: levels of arrays and maps to accept; the outermost is the first.

    Raises:
        MalformedCbor: anything but one canonical value, with the offset of the fault.
    """
    value, end = _item(data, 0, max_depth)
    if end != len(data):
        _fail(f"{len(data) - end} bytes follow the value", end)
    return value


def decode_prefix(
    data: bytes, start: int = 0, *, max_depth: int = MAX_DEPTH
) -> tuple[CborValue, int]:
    """Return the value that begins at `start`, and the offset of the first byte behind it.

    Authenticator data needs this: nothing but the COSE key itself says where the key ends
    (CTAP 2.3 section 6.1, WebAuthn section 6.5.1).

    Raises:
        MalformedCbor: no canonical value begins there.
    """
    return _item(data, start, max_depth)


# --- writing -----------------------------------------------------------------------------------


def _head(major: int, argument: int) -> bytes:
    """The initial byte and the shortest form of its argument (RFC 8949 section 3)."""
    if argument < 24:
        return bytes(((major << 5) | argument,))
    if argument < 0x100:
        return bytes(((major << 5) | 24, argument))
    if argument < 0x10000:
        return bytes(((major << 5) | 25,)) + argument.to_bytes(2)
    if argument < 0x1_0000_0000:
        return bytes(((major << 5) | 26,)) + argument.to_bytes(4)
    return bytes(((major << 5) | 27,)) + argument.to_bytes(8)


_SMALL_INTEGERS: Final = {n: _head(_UNSIGNED, n) for n in range(256)} | {
    n: _head(_NEGATIVE, -1 - n) for n in range(-256, 0)
}
_BYTES_HEADS: Final = [_head(_BYTES, size) for size in range(256)]
_TEXT_HEADS: Final = [_head(_TEXT, size) for size in range(256)]
_MAP_HEADS: Final = [_head(_MAP, count) for count in range(24)]


def _write_integer(value: int) -> bytes:
    small = _SMALL_INTEGERS.get(value)
    if small is not None:
        return small
    if not _LOWEST <= value <= _HIGHEST:
        raise MalformedCbor(f"the integer {value:#x} does not fit into 64 bits", hint=_HINT)
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def _write_bytes(value: bytes) -> bytes:
    size = len(value)
    return (_BYTES_HEADS[size] if size < 256 else _head(_BYTES, size)) + value


def _write_text(value: str) -> bytes:
    try:
        raw = value.encode()
    except UnicodeEncodeError:
        raise MalformedCbor("the text is not valid Unicode", hint=_HINT) from None
    size = len(raw)
    return (_TEXT_HEADS[size] if size < 256 else _head(_TEXT, size)) + raw


def _write_array(value: Sequence[Encodable]) -> bytes:
    return _head(_ARRAY, len(value)) + b"".join(map(encode, value))


def _write_map(value: Mapping[CborKey, Encodable]) -> bytes:
    # Plain byte order of encoded keys is CTAP's order: the major type leads the first byte, and
    # a shorter canonical head, or a shorter string, always has the smaller initial bytes. No
    # encoded key begins another one, so entries may be sorted whole.
    entries = [
        _write_key(key) + (_WRITERS.get(type(entry)) or _writer_for(entry))(entry)
        for key, entry in value.items()
    ]
    entries.sort()
    count = len(entries)
    return (_MAP_HEADS[count] if count < 24 else _head(_MAP, count)) + b"".join(entries)


# Replies have the same few keys again and again: a third of a map's time. Types are told apart, as
# True and 1 are one key to Python and two to CBOR.
@lru_cache(256, typed=True)
def _write_key(key: Any) -> bytes:
    if type(key) in _KEY_TYPES or (isinstance(key, _KEY_KINDS) and not isinstance(key, bool)):
        return encode(key)
    raise TypeError(f"a CBOR map key cannot be a {type(key).__name__}")


def _write_true_or_false(value: bool) -> bytes:
    return b"\xf5" if value else b"\xf4"


def _write_null(_: None) -> bytes:
    return b"\xf6"


def _write_float(value: CborFloat) -> bytes:
    return value.encoding


_WRITERS: Final[Mapping[type, Callable[[Any], bytes]]] = {
    int: _write_integer,
    bytes: _write_bytes,
    str: _write_text,
    dict: _write_map,
    list: _write_array,
    tuple: _write_array,
    bool: _write_true_or_false,
    CborFloat: _write_float,
    type(None): _write_null,
}

_WRITERS_BY_KIND: Final[Sequence[tuple[tuple[type, ...], Callable[[Any], bytes]]]] = (
    ((int,), lambda value: _write_integer(int(value))),
    ((bytes, bytearray, memoryview), lambda value: _write_bytes(bytes(value))),
    ((str,), lambda value: _write_text(str.__str__(value))),
    ((Mapping,), _write_map),
    ((list, tuple), _write_array),
)


def _writer_for(value: object) -> Callable[[Any], bytes]:
    """Enumerations, other mappings: anything that is one of the kinds without being the type."""
    for kinds, writer in _WRITERS_BY_KIND:
        if isinstance(value, kinds):
            return writer
    raise TypeError(f"CBOR for CTAP has no form for a {type(value).__name__}")


# --- reading -----------------------------------------------------------------------------------

_Read: TypeAlias = "tuple[CborValue, int]"

_LONGER: Final = object()
_ONE_BYTE: Final[Sequence[Any]] = [
    *range(24),
    *[_LONGER] * 8,
    *range(-1, -25, -1),
    *[_LONGER] * (0xF4 - 0x38),
    False,
    True,
    None,
    *[_LONGER] * 9,
]
_ARGUMENT_SIZE: Final = {24: 1, 25: 2, 26: 4, 27: 8}
_SMALLEST_ARGUMENT: Final = {24: 24, 25: 0x100, 26: 0x10000, 27: 0x1_0000_0000}


def _fail(what: str, at: int) -> NoReturn:
    raise MalformedCbor(f"CBOR: {what} at offset {at}", hint=_HINT)


def _item(data: bytes, at: int, depth: int) -> _Read:
    """The value at `at` and the offset behind it; `depth` levels may still open."""
    try:
        initial = data[at]
    except IndexError:
        _fail("the data ends where a value should begin", at)
    value = _ONE_BYTE[initial]
    if value is not _LONGER:
        return value, at + 1
    return _READERS[initial >> 5](data, at, depth)


def _argument(data: bytes, at: int) -> tuple[int, int]:
    """The argument of the head at `at`, in its shortest form, and the offset behind the head."""
    info = data[at] & 0x1F
    if info < 24:
        return info, at + 1
    if info == 24 and data[at + 1 : at + 2] >= b"\x18":
        return data[at + 1], at + 2  # of hashes and ids, so before the general case
    size = _ARGUMENT_SIZE.get(info)
    if size is None:
        _fail("an indefinite or reserved length", at)
    end = at + 1 + size
    if end > len(data):
        _fail(f"a head of {1 + size} bytes is cut short", at)
    argument = int.from_bytes(data[at + 1 : end])
    if argument < _SMALLEST_ARGUMENT[info]:
        _fail(f"{argument} is not in its shortest form", at)
    return argument, end


def _read_unsigned(data: bytes, at: int, _: int) -> _Read:
    return _argument(data, at)


def _read_negative(data: bytes, at: int, _: int) -> _Read:
    argument, end = _argument(data, at)
    if -1 - argument < _LOWEST:
        _fail("an integer below -2^63", at)
    return -1 - argument, end


def _read_bytes(data: bytes, at: int, _: int) -> _Read:
    info = data[at] & 0x1F
    size, start = (info, at + 1) if info < 24 else _argument(data, at)
    end = start + size
    if end > len(data):
        _fail(f"a string of {size} bytes has only {len(data) - start}", at)
    return data[start:end], end


def _read_text(data: bytes, at: int, _: int) -> _Read:
    info = data[at] & 0x1F
    size, start = (info, at + 1) if info < 24 else _argument(data, at)
    end = start + size
    if end > len(data):
        _fail(f"a text of {size} bytes has only {len(data) - start}", at)
    try:
        return data[start:end].decode(), end
    except UnicodeDecodeError as error:
        _fail("text that is not UTF-8", start + error.start)


def _count(data: bytes, at: int, depth: int, least_size: int) -> tuple[int, int]:
    """The number of entries of an array or map, once the data can hold so many."""
    if depth <= 0:
        _fail("arrays and maps nested too deep", at)
    info = data[at] & 0x1F
    count, start = (info, at + 1) if info < 24 else _argument(data, at)
    if count * least_size > len(data) - start:
        _fail(f"{count} entries announced in {len(data) - start} bytes", at)
    return count, start


def _read_array(data: bytes, at: int, depth: int) -> _Read:
    count, at = _count(data, at, depth, 1)
    values = []
    for _ in range(count):
        value, at = _item(data, at, depth - 1)
        values.append(value)
    return values, at


def _read_map(data: bytes, at: int, depth: int) -> _Read:
    count, at = _count(data, at, depth, 2)
    entries: dict[CborKey, CborValue] = {}
    key: Any
    previous = b""
    for _ in range(count):
        key, end = _item(data, at, 0)
        if type(key) not in _KEY_TYPES:
            _fail("a map key that is neither integer, text nor bytes", at)
        raw = data[at:end]
        if raw <= previous:
            _fail("a map key is repeated or out of order", at)
        previous = raw
        entries[key], at = _item(data, end, depth - 1)
    return entries, at


def _refuse_tag(_data: bytes, at: int, _depth: int) -> NoReturn:
    _fail("a tag", at)


_FLOAT_SIZE: Final = {0xF9: 3, 0xFA: 5, 0xFB: 9}


def _read_float(data: bytes, at: int, _: int) -> _Read:
    size = _FLOAT_SIZE.get(data[at])
    if size is None:
        _fail("a simple value other than true, false and null", at)
    if at + size > len(data):
        _fail(f"a number of {size} bytes is cut short", at)
    return CborFloat(data[at : at + size]), at + size


_READERS: Final[Sequence[Callable[[bytes, int, int], _Read]]] = (
    _read_unsigned,
    _read_negative,
    _read_bytes,
    _read_text,
    _read_array,
    _read_map,
    _refuse_tag,
    _read_float,
)
