from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.client.credentials.resident_label import cut, decode_display, encode_display

COMMENTS = (
    st.text(max_size=40)
    .map(lambda t: t.encode("utf-8", "replace").decode().strip())
    .filter(lambda t: len(t.encode()) <= 40)
)


@given(COMMENTS, st.booleans())
def test_round_trip(comment: str, touch: bool) -> None:
    assert decode_display(encode_display(comment, touch)) == (comment, touch)


@given(st.text(), st.booleans())
def test_it_always_fits_and_never_loses_the_flag(comment: str, touch: bool) -> None:
    display = encode_display(comment, touch)
    assert len(display.encode()) <= 64
    assert decode_display(display)[1] is touch


@given(st.text())
def test_decoding_is_total(display: str) -> None:
    comment, touch = decode_display(display)
    assert isinstance(comment, str)
    assert touch is (display.partition(" ")[0] != "no-touch-required")


def test_stock_openssh_is_no_comment() -> None:
    assert decode_display("openssh") == ("", True)


@pytest.mark.parametrize("comment", ["openssh", "no-touch-required", "no-touch-required me"])
@pytest.mark.parametrize("touch", [True, False])
def test_comments_that_look_like_marks(comment: str, touch: bool) -> None:
    assert decode_display(encode_display(comment, touch)) == (comment, touch)


def test_a_foreign_name_is_a_comment() -> None:
    assert decode_display("Alice Example") == ("Alice Example", True)


def test_cutting_leaves_whole_characters() -> None:
    assert cut("\u00e9" * 40, 63) == "\u00e9" * 31
    assert encode_display("\u20ac" * 40, True) == "\u20ac" * 21
