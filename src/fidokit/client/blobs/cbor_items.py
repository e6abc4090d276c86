"""Where each item of a CBOR array begins and ends, whatever it is: foreign items stay untouched.

The large-blob array is shared with every other program that uses the token. What those wrote may
be of a later CTAP, or not canonical; it has to be put back byte for byte, so it is never decoded.
"""

from __future__ import annotations

from typing import Final, NoReturn

from fidokit.errors import MalformedCbor

DEEPEST: Final = 16
"""Levels of nesting inside an item; CTAP itself allows 4."""
_ARRAY, _MAP, _TAG = 4, 5, 6
_INDEFINITE: Final = 31
_BREAK: Final = b"\xff"
_CHUNKED: Final = (2, 3)
"""Major types whose indefinite form is a row of chunks: byte string and text."""
_ITEMS_PER_ENTRY: Final = {_ARRAY: 1, _MAP: 2}


def array_items(data: bytes) -> list[bytes]:
    """The encoded items of the one array that `data` is, each as it stands there (RFC 8949).

    Args:
        data: at most what a token stores, some kilobytes.

    Raises:
        MalformedCbor: it is no array of well-formed items, or bytes follow it.
    """
    major, count, at = _head(data, 0)
    if major != _ARRAY:
        _fail("something else than an array", 0)
    items: list[bytes] = []
    while len(items) != count:
        if count is None and data[at : at + 1] == _BREAK:
            at += 1
            break
        end = _skip(data, at, DEEPEST)
        items.append(data[at:end])
        at = end
    if at != len(data):
        _fail(f"{len(data) - at} bytes behind the array", at)
    return items


def array_of(items: list[bytes]) -> bytes:
    """The array of these encoded items, its head in the shortest form; fewer than 65536 of them."""
    return _array_head(len(items)) + b"".join(items)


def _array_head(count: int) -> bytes:
    if count < 24:
        return bytes([_ARRAY << 5 | count])
    if count < 0x100:
        return bytes([_ARRAY << 5 | 24, count])
    return bytes([_ARRAY << 5 | 25]) + count.to_bytes(2, "big")


def _head(data: bytes, at: int) -> tuple[int, int | None, int]:
    """Major type, argument (None: indefinite), and the offset behind the head at `at`."""
    if at >= len(data):
        _fail("the data ends where an item should begin", at)
    major, info = data[at] >> 5, data[at] & 0x1F
    if info < 24:
        return major, info, at + 1
    if info == _INDEFINITE:
        return major, None, at + 1
    if info > 27:
        _fail("a reserved length", at)
    end = at + 1 + (1 << info - 24)
    if end > len(data):
        _fail("a head that is cut short", at)
    return major, int.from_bytes(data[at + 1 : end], "big"), end


def _skip(data: bytes, at: int, depth: int) -> int:
    """The offset behind the item at `at`; `depth` levels may still open."""
    major, argument, start = _head(data, at)
    if argument is None:
        return _skip_indefinite(data, start, major, depth)
    if major in _CHUNKED:
        if start + argument > len(data):
            _fail(f"a string of {argument} bytes has only {len(data) - start}", at)
        return start + argument
    if major == _TAG:
        return _skip_many(data, start, 1, depth)
    return _skip_many(data, start, argument * _ITEMS_PER_ENTRY.get(major, 0), depth)


def _skip_many(data: bytes, at: int, count: int, depth: int) -> int:
    if count and depth == 0:
        _fail("items nested too deep", at)
    if count > len(data) - at:
        _fail(f"{count} items announced in {len(data) - at} bytes", at)
    for _ in range(count):
        at = _skip(data, at, depth - 1)
    return at


def _skip_indefinite(data: bytes, at: int, major: int, depth: int) -> int:
    """The offset behind the break that ends an indefinite string, array or map."""
    if major not in (*_CHUNKED, *_ITEMS_PER_ENTRY):
        _fail("an indefinite length where none can be", at - 1)
    if depth == 0:
        _fail("items nested too deep", at)
    count = 0
    while data[at : at + 1] != _BREAK:
        if major in _CHUNKED and (at >= len(data) or data[at] >> 5 != major):
            _fail("a chunk of another type", at)
        at = _skip(data, at, 0 if major in _CHUNKED else depth - 1)
        count += 1
    if major == _MAP and count % 2:
        _fail("a map with a key and no value", at)
    return at + 1


def _fail(what: str, at: int) -> NoReturn:
    raise MalformedCbor(
        f"the large-blob array holds {what} at offset {at}",
        hint="another program wrote it; `fidokit blob delete --all` empties it",
    )
