"""Text for a terminal: nothing invisible or steering is left in it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fidokit.prompt.text import count, escape, escape_lines

HOSTILE = "\x1b[2J\x1b]0;owned\x07evil\u202egpj.exe\u200b\r\n\t\udc80"


@given(st.text())
def test_escaped_text_is_printable_and_has_no_invisible_characters(text: str) -> None:
    assert escape(text).isprintable()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert escape(text) == text


def test_escape_shows_what_it_took_out() -> None:
    shown = escape(HOSTILE)
    assert shown == r"\x1b[2J\x1b]0;owned\x07evil\u202egpj.exe\u200b\r\n\t\x80"


def test_lines_are_kept_and_indented_where_asked() -> None:
    assert escape_lines("a\nb\x1b", indent="  ") == "a\n  b\\x1b"


def test_one_is_not_several() -> None:
    assert [count(n, "key") for n in (0, 1, 2, 2000)] == [
        "0 keys", "1 key", "2 keys", "2,000 keys"
    ]  # fmt: skip
