"""The inventory as values and as JSON: what is merged, and what a hostile file comes to."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inventory.samples import full, key_of

from fidokit.errors import MalformedFile
from fidokit.inventory.kept import (
    MOST_ROWS,
    Inventory,
    KnownKey,
    KnownLoss,
    KnownPlace,
    PlaceKind,
    encode_inventory,
    parse_inventory,
)

DATA = encode_inventory(full())


def test_a_round_trip() -> None:
    assert parse_inventory(DATA) == full()
    assert parse_inventory(encode_inventory(Inventory())) == Inventory()


@pytest.mark.parametrize("cut", range(len(DATA) - 2))
def test_cut_at_every_byte(cut: int) -> None:
    with pytest.raises(MalformedFile):
        parse_inventory(DATA[:cut])


def test_one_byte_more() -> None:
    with pytest.raises(MalformedFile, match="not valid JSON"):
        parse_inventory(DATA + b"x")


def damaged(rows: str, /, **members: Any) -> bytes:
    document = json.loads(DATA)
    document[rows][0] |= members
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"[]", "schema 1"),
        (b'{"schema": 2}', "schema 1"),
        (b'{"schema": 1, "keys": {}}', "`keys` is not a list"),
        (b'{"schema": 1, "keys": [[]]}', "`keys`, row 1 is not an object"),
        (b'{"schema": 1, "keys": [{}]}', "row 1 lacks `fingerprint`"),
        (b'{"schema": 1, "places": [{"key": "x"}]}', "`key` has another form"),
        (b"[" * 100_000, "not valid JSON"),
        (damaged("keys", fingerprint="SHA256:../x"), "`fingerprint` has another form"),
        (damaged("keys", line="ssh-ed25519 AAAA"), "`line` is not that of the key"),
        (damaged("keys", file=7), "`file` has another form"),
        (damaged("keys", application="a\0b"), "`application` has another form"),
        (damaged("keys", application="a" * 3000), "`application` has another form"),
        (damaged("places", kind="moon"), "`kind` has another form"),
        (damaged("places", serial=True), "`serial` has another form"),
        (damaged("places", serial=1 << 64), "`serial` has another form"),
        (damaged("places", ssh=[1]), "`ssh` has another form"),
        (damaged("places", ssh=["x"] * 65), "`ssh` has another form"),
        (damaged("places", seen=-1), "`seen` has another form"),
        (damaged("losses", since=1.5), "`since` has another form"),
    ],
)
def test_what_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(MalformedFile, match=why):
        parse_inventory(data)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["schema", "keys", "places", "key", "kind"]) | st.text(), x)))  # fmt: skip
def test_any_json_is_read_or_refused(document: object) -> None:
    with suppress(MalformedFile):
        parse_inventory(json.dumps(document).encode())


def test_more_rows_than_the_reader_takes_are_not_written() -> None:
    loss = full().losses[0]
    with pytest.raises(MalformedFile, match="more than"):
        encode_inventory(Inventory(losses=(loss,) * (MOST_ROWS + 1)))


def test_what_is_new_wins_and_what_it_does_not_tell_stays() -> None:
    key = key_of(1, "me@laptop", token="usb:1")
    merged = Inventory(keys=(key,)).with_facts(keys=[KnownKey(key.fingerprint, file="/new")])
    assert merged.keys == (key_of(1, "me@laptop", token="usb:1", file="/new"),)
    moved = merged.with_facts(keys=[key_of(1, "", token="usb:2")])
    assert (moved.keys[0].token, moved.keys[0].comment) == ("usb:2", "me@laptop")


def test_places_of_keys() -> None:
    one, other = key_of(1).fingerprint, key_of(2).fingerprint
    places = [KnownPlace(PlaceKind.HOST, key, host) for key in (one, other) for host in "ab"]
    kept = Inventory().with_facts(places=[*places, *places])
    assert kept.places == tuple(places)
    assert kept.places_of([one]) == places[:2]


def test_the_first_time_of_a_loss_counts() -> None:
    key = key_of(1).fingerprint
    kept = Inventory().with_facts(losses=[KnownLoss(key, 5)]).with_facts(losses=[KnownLoss(key, 9)])
    assert kept.loss(key) == KnownLoss(key, 5)
    assert kept.loss(key_of(2).fingerprint) is None
