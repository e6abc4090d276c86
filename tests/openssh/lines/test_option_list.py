"""Option lists: where one ends, what is in it, and writing one that reads back the same."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedFile, UsageError
from fidokit.openssh.lines.option_list import Option, encode_options, parse_list, split_list


@pytest.mark.parametrize(
    ("text", "listed", "rest"),
    [
        (b"", b"", b""),
        (b"pty", b"pty", b""),
        (b"pty ssh-rsa", b"pty", b"ssh-rsa"),
        (b"pty \t ssh-rsa", b"pty", b"ssh-rsa"),
        (b'command="a b",pty x', b'command="a b",pty', b"x"),
        (b'command="a \\" b" x', b'command="a \\" b"', b"x"),
        (b'command="a\\\\" x', b'command="a\\\\" x', None),
        (b'command="a b', None, None),
        (b'a\\"b c', b'a\\"b', b"c"),
    ],
)
def test_where_a_list_ends(text: bytes, listed: bytes | None, rest: bytes | None) -> None:
    if rest is None:
        with pytest.raises(MalformedFile, match="never closed"):
            split_list(text)
    else:
        assert split_list(text) == (listed, rest)


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (b"", ()),
        (b"pty", (Option("pty"),)),
        (b"No-PTY,Restrict", (Option("no-pty"), Option("restrict"))),
        (b'command="a \\"b\\" \\n"', (Option("command", 'a "b" \\n'),)),
        (b'command=""', (Option("command", ""),)),
        (b",,pty,,restrict", (Option("pty"), Option("restrict"))),
        (b'x="\xff"', (Option("x", "\\xff"),)),
        ('x="é"'.encode(), (Option("x", "é"),)),
    ],
)
def test_options(text: bytes, options: tuple[Option, ...]) -> None:
    assert parse_list(text) == options


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"pty,", "end in a comma"),
        (b",", "end in a comma"),
        (b"=x", "cannot start with"),
        (b"command=x", "not in quotes"),
        (b'command="x', "not in quotes"),
        (b'command="x\\"', "not in quotes"),
        (b'command="x"y', "followed by something else"),
        (b"pty.restrict", "followed by something else"),
        (b"\xff", "cannot start with"),
    ],
)
def test_what_is_no_list(text: bytes, reason: str) -> None:
    with pytest.raises(MalformedFile, match=reason):
        parse_list(text)


def test_a_comma_at_the_end_where_it_is_taken() -> None:
    assert parse_list(b"pty,", end_comma=True) == (Option("pty"),)
    assert parse_list(b",", end_comma=True) == ()


names = st.text(alphabet="abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12)
values = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])).filter(
    lambda text: not text.endswith("\\")
)
options = st.builds(Option, names, st.none() | values)


@given(st.lists(options, max_size=5))
def test_any_list_reads_back_the_same(listed: list[Option]) -> None:
    text = encode_options(listed).encode()
    assert split_list(text + b" rest") == (text, b"rest")
    assert parse_list(text) == tuple(listed)


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "a\udcffb", "ends in \\"])
def test_values_that_cannot_be_written(value: str) -> None:
    with pytest.raises(UsageError, match="value of command"):
        Option("command", value).encode()


@given(st.binary(max_size=60))
def test_any_bytes_are_a_list_or_malformed(text: bytes) -> None:
    with suppress(MalformedFile):
        listed, rest = split_list(text)
        assert text.startswith(listed)
        assert text.endswith(rest)
        parse_list(listed)


@pytest.mark.parametrize("piece", [b'"', b'\\"', b"\\", b'"a\\"', b"a,", b'a="b",'])
def test_long_hostile_lists_take_no_longer_than_their_length(piece: bytes) -> None:
    text = piece * (1 << 16)
    with suppress(MalformedFile):
        parse_list(split_list(text)[0])
    with suppress(MalformedFile):
        parse_list(text)
