"""CBOR as untidy firmware sends it: any order of keys, any length form; nothing else is lenient.

Only an answer that `fidokit.cbor` found not canonical comes here. Repeated keys, trailing bytes,
tags, floats and strings in pieces stay refused.
"""

from __future__ import annotations

from typing import Final, NoReturn

from fidokit import cbor
from fidokit.cbor import CborKey, CborValue
from fidokit.client.tolerance import CBOR_LENGTH, CBOR_ORDER, Notes
from fidokit.errors import MalformedCbor

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP = range(6)
_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_SIMPLE: Final = {0xF4: False, 0xF5: True, 0xF6: None}


def read_prefix(data: bytes, notes: Notes) -> tuple[CborValue, int]:
    """The value that begins `data`, and the offset of the first byte behind it.

    Args:
        data: what a token sent.
        notes: hears how it departs from canonical CBOR, if it can be read.

    Raises:
        MalformedCbor: it cannot be read even so, with the offset of the fault.
    """
    reader = _Reader(data)
    value = reader.value(cbor.MAX_DEPTH)
    for name in reader.departures:
        notes.note(name)
    return value, reader.at


class _Reader:
    """Reads one value from the front of its bytes; `at` is the offset of the next byte."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0
        self.departures: dict[str, None] = {}

    def value(self, depth: int) -> CborValue:
        """The next value; `depth` levels of arrays and maps may still open."""
        initial = self._peek()
        if initial in _SIMPLE:
            self.at += 1
            return _SIMPLE[initial]
        major = initial >> 5
        if major > _MAP:
            self._fail("a tag, a float or a simple value other than true, false and null")
        if major >= _ARRAY:
            if depth <= 0:
                self._fail("arrays and maps nested too deep")
            return self._map(depth - 1) if major == _MAP else self._array(depth - 1)
        return self._flat(major)

    def _flat(self, major: int) -> int | bytes | str:
        argument = self._argument()
        if argument is None:
            self._fail("an indefinite or reserved length")
        if major == _UNSIGNED:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        raw = self._take(argument)
        if major == _BYTES:
            return raw
        try:
            return raw.decode()
        except UnicodeDecodeError:
            self._fail("text that is not UTF-8")

    def _array(self, depth: int) -> list[CborValue]:
        values: list[CborValue] = []
        left = self._argument()
        while self._goes_on(left, len(values)):
            values.append(self.value(depth))
        return values

    def _map(self, depth: int) -> dict[CborKey, CborValue]:
        entries: dict[CborKey, CborValue] = {}
        left = self._argument()
        previous = b""
        while self._goes_on(left, len(entries)):
            key = self.value(0)
            if not isinstance(key, int | str | bytes) or isinstance(key, bool):
                self._fail("a map key that is neither integer, text nor bytes")
            if key in entries:
                self._fail("a map key is repeated")
            raw = cbor.encode(key)
            if raw < previous:
                self.departures[CBOR_ORDER] = None
            previous = raw
            entries[key] = self.value(depth)
        return entries

    def _goes_on(self, count: int | None, done: int) -> bool:
        """Whether an array or map has one more entry; None is a length that a mark ends."""
        if count is not None:
            return done < count
        if self._peek() != _BREAK:
            return True
        self.at += 1
        return False

    def _argument(self) -> int | None:
        """The argument of the next head; None if the length is indefinite."""
        info = self._peek() & 0x1F
        self.at += 1
        if info < 24:
            return info
        if info == _INDEFINITE:
            self.departures[CBOR_LENGTH] = None
            return None
        if info > 27:
            self._fail("a reserved length")
        raw = self._take(1 << (info - 24))
        argument = int.from_bytes(raw)
        if argument < (24 if len(raw) == 1 else 1 << (4 * len(raw))):
            self.departures[CBOR_LENGTH] = None
        return argument

    def _peek(self) -> int:
        if self.at >= len(self._data):
            self._fail("the data ends where a value should begin")
        return self._data[self.at]

    def _take(self, size: int) -> bytes:
        raw = self._data[self.at : self.at + size]
        if len(raw) < size:
            self._fail(f"{size} bytes are announced and {len(raw)} are there")
        self.at += size
        return raw

    def _fail(self, what: str) -> NoReturn:
        raise MalformedCbor(f"CBOR: {what} at offset {self.at}")
