"""The times of -V: what each form means, and what is none."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import UsageError
from fidokit.openssh.certificates.certificate import FOREVER
from fidokit.openssh.certificates.validity import parse_validity

NOW = 1_700_000_030
DAY, WEEK = 86_400, 604_800


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("+52w", (1_699_999_920, NOW + 52 * WEEK)),
        ("+0", (1_699_999_920, NOW)),
        ("+1d1", (1_699_999_920, NOW + DAY + 1)),
        ("+1w2d3h4m5s", (1_699_999_920, NOW + WEEK + 2 * DAY + 3 * 3600 + 4 * 60 + 5)),
        ("-1d:+52w", (NOW - DAY, NOW + 52 * WEEK)),
        ("-1D:+2W", (NOW - DAY, NOW + 2 * WEEK)),
        ("+10:+20m", (NOW + 10, NOW + 1200)),
        ("always:forever", (0, FOREVER)),
        ("always:+1d", (0, NOW + DAY)),
        ("-5m:forever", (NOW - 300, FOREVER)),
        ("20200101:20300101", (1_577_836_800, 1_893_456_000)),
        ("20200101:20200101000001Z", (1_577_836_800, 1_577_836_801)),
        ("202001010000:forever", (1_577_836_800, FOREVER)),
        ("0x5e0be100:0xffffffffffffffff", (1_577_836_800, FOREVER)),
        ("19700101Z:+1", (0, NOW + 1)),
    ],
)
def test_forms(text: str, meant: tuple[int, int]) -> None:
    assert parse_validity(text, NOW) == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "a:", ":a", "+", "+:+5", "-1d", "20200101", "forever", "always"),
        *("forever:always", "always:always", "+1y", "+1x", "+-1", "+1 d", "+d", "++1:+2x"),
        *("20200101:20200101", "+1d:-1d", "20200101 :forever", "20201301:forever"),
        *(
            "-60y:+1d",
            "-9999999999:+1",
            "+99999999999w",
            "+9999999999s",
            "+3551w",
            "-2000000000:+1",
        ),
        *("0x:forever", "0x10000000000000000:forever", "٣:forever", "+٣d", "1d:+2d"),
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(UsageError):
        parse_validity(text, NOW)


@given(st.text("0123456789+-:xwdhms alwysforeZ", max_size=24))
def test_any_text(text: str) -> None:
    try:
        after, before = parse_validity(text, NOW)
    except UsageError:
        return
    assert 0 <= after <= before <= FOREVER
