from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.client.blobs.cbor_items import DEEPEST, array_items, array_of
from fidokit.errors import MalformedCbor

ITEMS = [
    "00",  # 0
    "1bffffffffffffffff",  # 2**64-1
    "390100",
    "4401020304",
    "58020102",  # a string whose length is not in its shortest form
    "6161",
    "83010203",
    "9f0102ff",  # indefinite array
    "a2016161024101",
    "bf0102ff",
    "5f41014102ff",  # string in chunks
    "7f61616162ff",
    "c11a514b67b0",  # tag 1
    "f4",
    "f6",
    "f97e00",  # half a float
    "fb3ff199999999999a",
    "80",
    "a0",
    "40",
]
RAW = [bytes.fromhex(item) for item in ITEMS]
WHOLE = array_of(RAW)


def test_items_come_out_as_they_went_in() -> None:
    assert array_items(WHOLE) == RAW


@pytest.mark.parametrize("count", [0, 1, 23, 24, 255, 256, 1000])
def test_every_length_of_head(count: int) -> None:
    data = array_of([b"\x00"] * count)
    assert cbor2.loads(data) == [0] * count
    assert array_items(data) == [b"\x00"] * count


def test_an_indefinite_array() -> None:
    assert array_items(b"\x9f" + b"".join(RAW) + b"\xff") == RAW


@pytest.mark.parametrize("cut", range(len(WHOLE)))
def test_cut_at_every_byte(cut: int) -> None:
    with pytest.raises(MalformedCbor):
        array_items(WHOLE[:cut])


def test_a_trailing_byte() -> None:
    with pytest.raises(MalformedCbor, match="1 bytes behind"):
        array_items(WHOLE + b"\0")


@pytest.mark.parametrize(
    "data",
    [
        "a0",  # a map
        "40",
        "9f",  # never ends
        "811c",  # reserved length
        "81ff",  # a break where an item should be
        "811f",  # an indefinite integer
        "81df00ff",  # an indefinite tag
        "815f6161ff",  # a chunk of text in a byte string
        "815f5f4101ffff",  # chunks in chunks
        "81bf01ff",  # a map with half an entry
        "9bffffffffffffffff",  # more items than memory
        "819bffffffffffffffff",
        "81bbffffffffffffffff",
        "815bffffffffffffffff",
    ],
)
def test_what_is_no_array_of_items(data: str) -> None:
    with pytest.raises(MalformedCbor) as caught:
        array_items(bytes.fromhex(data))
    assert caught.value.hint


def test_depth_is_bounded() -> None:
    deepest = b"\x81" * DEEPEST + b"\x00"
    assert array_items(b"\x81" + deepest) == [deepest]
    for opener in (b"\x81", b"\x9f", b"\xc1"):
        with pytest.raises(MalformedCbor, match="too deep"):
            array_items(b"\x81" + opener * 5000)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats()
    | st.binary(max_size=300)
    | st.text(max_size=40),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(st.lists(VALUES, max_size=30))
def test_what_another_encoder_wrote(values: list[object]) -> None:
    items = [cbor2.dumps(value) for value in values]
    assert array_items(cbor2.dumps(values)) == items
    assert array_items(array_of(items)) == items


@given(st.binary(max_size=200))
def test_anything_at_all(data: bytes) -> None:
    for candidate in (data, b"\x84" + data):
        try:
            items = array_items(candidate)
        except MalformedCbor:
            continue
        assert b"".join(items) in candidate
