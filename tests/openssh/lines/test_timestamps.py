"""The times of option lists: forms, zones, and what is none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.errors import MalformedFile
from fidokit.openssh.lines.timestamps import parse_time


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
def test_local_time_is_standard_time_even_in_summer() -> None:
    assert parse_time("202401011200") == parse_time("202401011100Z")
    assert parse_time("202407011200") == parse_time("202407011100Z")


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
