"""Words of a line that is being typed, by the rules that the shells share."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.cli.completion.line import Typed, quoted, split

BREAKS = " \t\n\"'@><=;|&(:"


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("", Typed((), "")),
        ("fidokit", Typed((), "fidokit")),
        ("fidokit ", Typed(("fidokit",), "")),
        ("fidokit key ge", Typed(("fidokit", "key"), "ge")),
        ("a 'b c' d", Typed(("a", "b c"), "d")),
        ("a 'b c", Typed(("a",), "b c", "'")),
        ('a "b \\" \\x', Typed(("a",), 'b " \\x', '"')),
        ("a b\\ c", Typed(("a",), "b c")),
        ("a b\\", Typed(("a",), "b")),
        ("a '' ", Typed(("a", ""), "")),
    ],
)
def test_words(line: str, typed: Typed) -> None:
    assert split(line) == typed


@pytest.mark.parametrize(
    ("line", "current", "kept"),
    [
        ("f --token virtual:te", "virtual:te", 8),
        ("f --token=virtual:te", "--token=virtual:te", 16),
        ("f --token virtual\\:te", "virtual:te", 0),
        ("f --token 'virtual:te", "virtual:te", 0),
        ("f --token=", "--token=", 8),
        ("f a,b", "a,b", 0),
    ],
)
def test_bash_keeps_what_stands_before_its_own_word(line: str, current: str, kept: int) -> None:
    typed = split(line, BREAKS)
    assert (typed.current, typed.kept) == (current, kept)


@given(st.text(), st.sampled_from(["", BREAKS]))
def test_no_line_is_an_error(line: str, breaks: str) -> None:
    typed = split(line, breaks)
    assert typed.kept <= len(typed.current)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))
def test_complete_words_are_those_that_a_shell_reads(words: list[str]) -> None:
    assert split(f"{shlex.join(words)} ").words == tuple(words)


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["C"])), st.sampled_from(["", '"', "'"])
)
def test_a_quoted_word_is_read_as_it_was(text: str, quote: str) -> None:
    said = quoted(text, quote)
    if said is None:
        assert "'" in text
    elif quote:
        assert split(f"{quote}{said}{quote} ").words == (text,)
    elif text:
        assert split(f"{said} ").words == (text,)
