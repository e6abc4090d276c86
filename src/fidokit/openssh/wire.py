"""Readers and writers of SSH's primitive types (RFC 4251 section 5); total, with offsets.

A `Reader` returns a value or raises `MalformedKey` with the offset; it never returns a guess.
"""

from __future__ import annotations

from fidokit.errors import MalformedKey


class Reader:
    """Takes SSH primitives off the front of `data`.

    Args:
        data: the whole object, bytes.
        what: its name for error messages, such as "public key".
    """

    __slots__ = ("_at", "_buf", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._buf = data
        self._at = 0
        self._what = what

    @property
    def offset(self) -> int:
        """How many bytes are behind the reader."""
        return self._at

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return len(self._buf) - self._at

    def raw(self, n: int) -> bytes:
        """Exactly `n` bytes, whatever they are."""
        at = self._at
        piece = self._buf[at : at + n]
        if len(piece) != n:
            raise MalformedKey(
                f"{self._what}: need {n} bytes at offset {at}, have {self.remaining}"
            )
        self._at = at + n
        return piece

    def u8(self) -> int:
        """One byte, as a number from 0 to 255."""
        if self._at >= len(self._buf):
            self.raw(1)
        self._at += 1
        return self._buf[self._at - 1]

    def u32(self) -> int:
        """Four bytes, big-endian, as a number that is not negative."""
        return int.from_bytes(self.raw(4), "big")

    def u64(self) -> int:
        """Eight bytes, big-endian, as a number that is not negative."""
        return int.from_bytes(self.raw(8), "big")

    def string(self) -> bytes:
        """A uint32 length and as many bytes."""
        start = self._at + 4
        end = start + int.from_bytes(self._buf[start - 4 : start], "big")
        if end > len(self._buf):
            return self.raw(self.u32())  # which of the two is missing, it says
        self._at = end
        return self._buf[start:end]

    def skip(self, piece: bytes) -> bool:
        """Whether `piece` comes next; if so, it is behind the reader now."""
        found = self._buf.startswith(piece, self._at)
        if found:
            self._at += len(piece)
        return found

    def text(self) -> str:
        """A string that must be UTF-8."""
        at = self._at
        data = self.string()
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedKey(f"{self._what}: text at offset {at} is not UTF-8") from None

    def mpint(self) -> int:
        """A non-negative multiple-precision integer in its shortest form (RFC 4251)."""
        at = self._at
        data = self.string()
        if data and data[0] & 0x80:
            raise MalformedKey(f"{self._what}: negative integer at offset {at}")
        if data and data[0] == 0 and (len(data) == 1 or not data[1] & 0x80):
            raise MalformedKey(f"{self._what}: integer at offset {at} has needless zeros")
        return int.from_bytes(data, "big")

    def expect(self, value: bytes) -> None:
        """A string that must equal `value`."""
        at = self._at
        found = self.string()
        if found != value:
            raise MalformedKey(f"{self._what}: expected {value!r} at offset {at}")

    def end(self) -> None:
        """Make sure that nothing follows."""
        if self.remaining:
            raise MalformedKey(f"{self._what}: {self.remaining} bytes follow at offset {self._at}")


def u8(value: int) -> bytes:
    """One byte of a number from 0 to 255."""
    return value.to_bytes(1, "big")


def u32(value: int) -> bytes:
    """Four bytes, big-endian, of a number below 2**32."""
    return value.to_bytes(4, "big")


def u64(value: int) -> bytes:
    """Eight bytes, big-endian, of a number below 2**64."""
    return value.to_bytes(8, "big")


def string(data: bytes) -> bytes:
    """A uint32 length and the bytes."""
    return len(data).to_bytes(4, "big") + data


def text(value: str) -> bytes:
    """A string of UTF-8; bytes that are not are given back as they came (PEP 383)."""
    return string(value.encode("utf-8", "surrogateescape"))


def mpint(value: int) -> bytes:
    """A non-negative multiple-precision integer in its shortest form (RFC 4251)."""
    if value < 0:
        raise ValueError("negative mpint")  # no format here has one: a caller's mistake
    return string(value.to_bytes((value.bit_length() + 8) // 8, "big") if value else b"")
