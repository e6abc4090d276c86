"""OpenSSH's patterns, against a matcher that is slow and obvious."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.openssh.lines.patterns import MAX_PATTERN, match_pattern, match_pattern_list


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("", "", True),
        ("", "*", True),
        ("", "?", False),
        ("alice", "alice", True),
        ("alice", "Alice", False),
        ("alice", "al", False),
        ("alice", "a*e", True),
        ("alice", "*l*c*", True),
        ("alice", "a???e", True),
        ("alice", "a??e", False),
        ("alice", "**", True),
        ("alice@example.com", "*@example.com", True),
        ("aab", "*ab", True),
        ("a[b]", "a[b]", True),
        ("é", "?", False),
        ("é", "??", True),
    ],
)
def test_patterns(text: str, pattern: str, fits: bool) -> None:
    assert match_pattern(text, pattern) is fits


@pytest.mark.parametrize(
    ("patterns", "fits"),
    [
        ("", False),
        ("alice", True),
        ("bob,alice", True),
        ("bob,carol", False),
        ("!alice", False),
        ("!bob", False),
        ("*,!alice", False),
        ("!alice,*", False),
        ("!bob,*", True),
        ("!bob,alice", True),
        ("alice,", True),
        (",alice", True),
        ("a,,alice", True),
        ("alice ,", False),
        ("x" * MAX_PATTERN + ",alice", True),
        ("x" * (MAX_PATTERN + 1) + ",alice", False),
        ("alice," + "x" * (MAX_PATTERN + 1), False),
    ],
)
def test_lists(patterns: str, fits: bool) -> None:
    assert match_pattern_list("alice", patterns) is fits


@pytest.mark.parametrize(
    ("patterns", "fits"), [("", False), (",", True), (",a", True), ("a,", False)]
)
def test_an_empty_item_fits_only_the_empty_text(patterns: str, fits: bool) -> None:
    assert match_pattern_list("", patterns) is fits


letters = st.text(alphabet="ab", max_size=8)
patterns = st.text(alphabet="ab*?", max_size=8)


@given(letters, patterns)
def test_agrees_with_regular_expressions(text: str, pattern: str) -> None:
    slow = re.compile(re.sub(r"\*+", "*", pattern).replace("*", ".*").replace("?", "."), re.DOTALL)
    assert match_pattern(text, pattern) is (slow.fullmatch(text) is not None)


def test_stars_do_not_blow_up() -> None:
    assert not match_pattern("a" * 2000, "*a" * 500 + "b")
