"""Signature counters: what is an alarm, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inventory.samples import key_of

from fidokit.errors import MalformedFile
from fidokit.inventory import counters
from fidokit.inventory.counters import (
    CloneAlarm,
    CounterHistory,
    CounterReading,
    encode_counters,
    parse_counters,
)

KEY = key_of(1).fingerprint


def after(*readings: tuple[int, float, float]) -> CounterHistory:
    history = CounterHistory()
    for value, began, ended in readings:
        history = history.after(CounterReading(KEY, value, began, ended, "a test"))
    return history


@pytest.mark.parametrize("second", [3, 5, 0])
def test_back_or_still_is_an_alarm(second: int) -> None:
    alarm = CloneAlarm(5, second, 4, "a test")
    assert after((5, 1, 2), (second, 3, 4)).alarms == {KEY: alarm}


def test_onwards_is_none() -> None:
    assert after((5, 1, 2), (6, 3, 4), (900, 5, 6)).alarms == {}


def test_a_token_that_never_counts_is_exempt() -> None:
    assert after((0, 1, 2), (0, 3, 4), (0, 5, 6)).alarms == {}
    assert after((0, 1, 2), (1, 3, 4)).alarms == {}


def test_two_signatures_at_a_time_may_be_noted_in_either_order() -> None:
    assert after((6, 1, 4), (5, 2, 3)).alarms == {}
    assert after((6, 1, 4), (5, 2, 3), (6, 5, 6)).alarms != {}


def test_the_first_alarm_stays_until_it_is_dismissed() -> None:
    history = after((5, 1, 2), (3, 3, 4), (6, 5, 6), (4, 7, 8))
    assert history.alarms[KEY].value == 3
    assert history.without_alarm(KEY) == CounterHistory()


def test_other_keys_are_apart() -> None:
    history = after((5, 1, 2)).after(CounterReading(key_of(2).fingerprint, 1, 3, 4, "a test"))
    assert history.alarms == {}


def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MOST_KEYS", 2)
    history = after((5, 1, 2), (3, 3, 4))  # with an alarm: it stays
    for number in (2, 3, 4):
        key = key_of(number).fingerprint
        history = history.after(CounterReading(key, 1, number * 10, number * 10 + 1, "a test"))
    assert set(history.keys) == {KEY, key_of(4).fingerprint}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50), st.integers(0, 50))))
def test_a_round_trip(readings: list[tuple[int, int, int]]) -> None:
    history = after(*readings)
    assert parse_counters(encode_counters(history)) == history


DATA = encode_counters(after((5, 1, 2), (3, 3, 4)))


@pytest.mark.parametrize("cut", range(len(DATA) - 1))
def test_cut_at_every_byte(cut: int) -> None:
    with pytest.raises(MalformedFile):
        parse_counters(DATA[:cut])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"schema": 1', b'"schema": 2'),
        (b'"value": 5', b'"value": -1'),
        (b'"value": 5', b'"value": true'),
        (b'"value": 5', b'"value": 4294967296'),
        (b'"seen": 4', b'"seen": NaN'),
        (b'"seen": 4', b'"seen": 1e300'),
        (b'"by": "a test"', b'"by": 1'),
        (b"SHA256:", b"SHA255:"),
        (DATA, b"[" * 100_000),
    ],
)
def test_what_is_refused(old: bytes, new: bytes) -> None:
    assert old in DATA
    with pytest.raises(MalformedFile):
        parse_counters(DATA.replace(old, new, 1))
