"""CBOR in untidy forms is read as the same value; nothing else becomes readable."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit import cbor
from fidokit.client.links.lenient_cbor import read_prefix
from fidokit.client.tolerance import Notes
from fidokit.errors import MalformedCbor

SCALARS = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.none(),
    st.binary(max_size=20),
    st.text(max_size=20),
)
KEYS = st.one_of(st.integers(-40, 300), st.text(max_size=6), st.binary(max_size=6))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=8,
)


def head(major: int, argument: int, extra: int) -> bytes:
    """A head with its argument in a form of `extra` steps more than needed."""
    forms = [size for size in (0, 1, 2, 4, 8) if argument < (24 if size == 0 else 1 << 8 * size)]
    size = forms[min(extra, len(forms) - 1)]
    if size == 0:
        return bytes([major << 5 | argument])
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[size]]) + argument.to_bytes(size)


def untidy(value: object, draw: Callable[[int], int]) -> bytes:
    """A form of `value` that CTAP forbids: longer heads, keys in any order, marked ends."""
    if isinstance(value, bool) or value is None:
        return cbor.encode(value)
    if isinstance(value, int):
        return head(0 if value >= 0 else 1, value if value >= 0 else -1 - value, draw(4))
    if isinstance(value, bytes):
        return head(2, len(value), draw(4)) + value
    if isinstance(value, str):
        raw = value.encode()
        return head(3, len(raw), draw(4)) + raw
    major, parts = (4, value) if isinstance(value, list) else (5, list(value.items()))  # type: ignore[attr-defined]
    assert isinstance(parts, list)
    if major == 5 and draw(2):
        parts = parts[::-1]
    inner = b"".join(
        untidy(part, draw) if major == 4 else untidy(part[0], draw) + untidy(part[1], draw)
        for part in parts
    )
    if draw(4) == 3:
        return bytes([major << 5 | 31]) + inner + b"\xff"
    return head(major, len(parts), draw(4)) + inner


@given(VALUES, st.randoms(use_true_random=False))
def test_any_order_and_length_form_is_read_as_the_same_value(value: object, random: object) -> None:
    encoded = untidy(value, random.randrange)  # type: ignore[attr-defined]
    try:
        strict = cbor.encode(value)  # type: ignore[arg-type]
        cbor.decode(strict)
    except MalformedCbor:  # nested too deep
        with pytest.raises(MalformedCbor):
            read_prefix(encoded, Notes())
        return
    notes = Notes()
    found, end = read_prefix(encoded + b"behind", notes)
    assert cbor.encode(found) == strict
    assert end == len(encoded)
    assert bool(notes.names) or encoded == strict


@given(st.binary(max_size=60))
def test_rubbish_is_refused_or_read_the_same_way_again(data: bytes) -> None:
    try:
        value, end = read_prefix(data, Notes())
    except MalformedCbor:
        return
    assert 0 < end <= len(data)
    cbor.decode(cbor.encode(value))


@pytest.mark.parametrize("cut", range(len(b"\xbf\x02\xa2\x61b\0\x61a\0\x01\x07\xff")))
def test_cut_at_every_byte(cut: int) -> None:
    with pytest.raises(MalformedCbor):
        read_prefix(b"\xbf\x02\xa2\x61b\0\x61a\0\x01\x07\xff"[:cut], Notes())
