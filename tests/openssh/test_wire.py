"""SSH primitives: round trips, cuts at every byte, and the shortest form of integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedKey
from fidokit.openssh import wire

WHOLE = wire.string(b"abc") + wire.u8(7) + wire.u32(8) + wire.u64(9) + wire.mpint(0x80)


def read_whole(data: bytes) -> tuple[bytes, int, int, int, int]:
    reader = wire.Reader(data, "sample")
    values = (reader.string(), reader.u8(), reader.u32(), reader.u64(), reader.mpint())
    reader.end()
    return values


def test_reads_each_primitive_in_turn() -> None:
    assert read_whole(WHOLE) == (b"abc", 7, 8, 9, 0x80)


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_truncation(cut: int) -> None:
    with pytest.raises(MalformedKey, match="need"):
        read_whole(WHOLE[:cut])


def test_trailing_byte() -> None:
    with pytest.raises(MalformedKey, match=f"1 bytes follow at offset {len(WHOLE)}"):
        read_whole(WHOLE + b"\0")


@pytest.mark.parametrize("data", [b"\x80", b"\x00", b"\x00\x7f", b"\xff\xff"])
def test_mpint_has_one_form(data: bytes) -> None:
    with pytest.raises(MalformedKey):
        wire.Reader(wire.string(data), "sample").mpint()


@given(st.integers(min_value=0, max_value=1 << 600))
def test_mpint_round_trip(value: int) -> None:
    assert wire.Reader(wire.mpint(value), "sample").mpint() == value


def test_negative_mpint_is_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        wire.mpint(-1)


@given(st.text())
def test_text_round_trip(value: str) -> None:
    assert wire.Reader(wire.text(value), "sample").text() == value


def test_text_must_be_utf8() -> None:
    with pytest.raises(MalformedKey, match="text at offset 0 is not UTF-8"):
        wire.Reader(wire.string(b"\xff"), "sample").text()


def test_expect() -> None:
    reader = wire.Reader(wire.string(b"nistp256") * 2, "sample")
    reader.expect(b"nistp256")
    with pytest.raises(MalformedKey, match="expected b'nistp384' at offset 12"):
        reader.expect(b"nistp384")
