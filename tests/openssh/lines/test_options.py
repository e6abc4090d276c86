"""Options before keys: lists of them, what sshd takes, and times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedFile, UsageError
from fidokit.openssh.lines.options import (
    FLAGS,
    MAX_ENVIRONMENT,
    VALUED,
    Option,
    check_options,
    encode_options,
    parse_list,
    parse_time,
    split_list,
)


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


GOOD = [
    *(Option(name) for name in sorted(FLAGS)),
    Option("command", ""),
    Option("command", 'echo "hi"'),
    Option("environment", "A_1=x=y"),
    Option("environment", "A="),
    Option("expiry-time", "20300101"),
    Option("expiry-time", "203001011200Z"),
    Option("from", "!10.0.0.1,*.example.com"),
    Option("permitlisten", "8080"),
    Option("permitlisten", "localhost:8080"),
    Option("permitlisten", "*"),
    Option("permitopen", "localhost:80"),
    Option("permitopen", "localhost/80"),
    Option("permitopen", "*:*"),
    Option("permitopen", "[::1]:443"),
    Option("permitopen", "host:http"),
    Option("principals", "alice,bob"),
    Option("tunnel", "0"),
    Option("tunnel", "2147483645"),
    Option("tunnel", "any"),
    Option("tunnel", "ANY"),
]

BAD = [
    (Option("frob"), "unknown"),
    (Option("no-restrict"), "unknown"),
    (Option("no-cert-authority"), "unknown"),
    (Option("permitremoteopen", "x"), "unknown"),
    (Option("pty", "yes"), "takes no value"),
    (Option("command"), "needs a value"),
    (Option("environment", "A"), "cannot have the value"),
    (Option("environment", "A-B=c"), "cannot have the value"),
    (Option("environment", "=c"), "cannot have the value"),
    (Option("expiry-time", "tomorrow"), "cannot have the value"),
    (Option("expiry-time", "19700101Z"), "cannot have the value"),
    (Option("permitopen", "80"), "cannot have the value"),
    (Option("permitopen", "localhost:"), "cannot have the value"),
    (Option("permitopen", "localhost:0"), "cannot have the value"),
    (Option("permitopen", "localhost:65536"), "cannot have the value"),
    (Option("permitopen", "[::1:443"), "cannot have the value"),
    (Option("permitopen", "[::1]443"), "cannot have the value"),
    (Option("permitlisten", ""), "cannot have the value"),
    (Option("permitlisten", "0"), "cannot have the value"),
    (Option("tunnel", "x"), "cannot have the value"),
    (Option("tunnel", "2147483646"), "cannot have the value"),
    (Option("tunnel", "-1"), "cannot have the value"),
]


@pytest.mark.parametrize("option", GOOD, ids=str)
def test_good(option: Option) -> None:
    check_options([option])


def test_every_known_option_is_tried() -> None:
    assert {option.name for option in GOOD} == FLAGS | set(VALUED)


@pytest.mark.parametrize(("option", "reason"), BAD, ids=str)
def test_bad(option: Option, reason: str) -> None:
    with pytest.raises(MalformedFile, match=reason):
        check_options([Option("pty"), option])


@pytest.mark.parametrize("name", ["command", "from", "principals"])
def test_some_only_once(name: str) -> None:
    with pytest.raises(MalformedFile, match="too often"):
        check_options([Option(name, "x"), Option(name, "x")])


def test_others_up_to_a_limit() -> None:
    one = Option("environment", "A=b")
    check_options([one] * MAX_ENVIRONMENT + [Option("pty")] * 9)
    with pytest.raises(MalformedFile, match="too often"):
        check_options([one] * (MAX_ENVIRONMENT + 1))


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("19700101Z", 0),
        ("20240229Z", 1709164800),
        ("20240229UTC", 1709164800),
        ("20240229utc", 1709164800),
        ("202402291230z", 1709209800),
        ("20240229123045Z", 1709209845),
        ("20240230Z", 1709251200),  # strptime(3) does not count days, and timegm(3) carries
        ("20240229000060Z", 1709164860),
    ],
)
def test_utc(text: str, seconds: int) -> None:
    assert parse_time(text) == seconds


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31)))
def test_any_moment(moment: datetime) -> None:
    expected = int(moment.replace(microsecond=0, tzinfo=UTC).timestamp())
    assert parse_time(f"{moment.year:04}" + moment.strftime("%m%d%H%M%SZ")) == expected


@pytest.mark.usefixtures("berlin")
def test_local_time_has_summer_time_unless_that_is_left_out() -> None:
    assert parse_time("202401011200") == parse_time("202401011100Z")
    assert parse_time("202407011200") == parse_time("202407011000Z")
    for text in ("202401011200", "202407011200"):
        assert parse_time(text, summer=False) == parse_time(f"{text[:8]}1100Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2024",
        "2024022",
        "2024022912",
        "2024022912304",
        "202402291230450",
        "20240229 Z",
        " 20240229",
        "20240229ZZ",
        "20240229+01",
        "2024-02-29",
        "20241301Z",
        "20240001Z",
        "20240100Z",
        "20240132Z",
        "202401012400Z",
        "202401012360Z",
        "20240101000062Z",
        "19691231Z",
        "00000101Z",
        "00000101",
        "0x10",
        "always",
        "２０２４０２２９",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(MalformedFile, match="is not a time"):
        parse_time(text)


@given(st.text(max_size=20))
def test_any_text_is_a_time_or_malformed(text: str) -> None:
    with suppress(MalformedFile):
        assert parse_time(text) >= 0
