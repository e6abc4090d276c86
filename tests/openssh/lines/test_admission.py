"""Values before a key held against their use: what lets nobody in, and which place fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.openssh.lines.admission import (
    is_past,
    place_fits,
    problems,
    read_address,
    read_network,
)
from fidokit.openssh.lines.options import Option


@pytest.mark.parametrize(
    ("patterns", "address", "host", "fits"),
    [
        ("*", "192.0.2.1", "", True),
        ("192.0.2.1", "192.0.2.1", "", True),
        ("192.0.2.0/24", "192.0.2.77", "", True),
        ("192.0.2.0/24", "192.0.3.77", "", False),
        ("0.0.0.0/0", "8.8.8.8", "", True),
        ("0.0.0.0/0", "2001:db8::1", "", False),
        ("2001:db8::/32", "2001:db8::1", "", True),
        ("2001:DB8:0::1", "2001:db8::1", "", True),
        ("192.0.2.1/24", "192.0.2.1", "", None),
        ("*,192.0.2.1/24", "192.0.2.1", "", None),
        ("10.0.0.0/33", "10.0.0.0", "", None),
        ("127/8", "127.0.0.1", "", None),
        ("127", "0.0.0.127", "", True),
        ("10.0/16", "10.0.3.4", "", True),
        ("*,", "192.0.2.1", "", None),
        ("", "192.0.2.1", "", None),
        ("192.*", "192.0.2.1", "", True),
        ("192.0.2.?", "192.0.2.1", "", True),
        ("!192.0.2.1,*", "192.0.2.1", "", False),
        ("!192.0.2.1,*", "192.0.2.2", "", True),
        ("*,!192.0.2.0/24", "192.0.2.2", "", False),
        ("!192.0.2.1", "192.0.2.2", "", False),
        ("192.0.2.9, 192.0.2.1", "192.0.2.1", "", False),
        ("*.example.org", "192.0.2.1", "a.example.org", True),
        ("*.EXAMPLE.org", "192.0.2.1", "A.example.ORG", True),
        ("*.example.org", "192.0.2.1", "", False),
        ("*,!*.example.org", "192.0.2.1", "a.example.org", False),
    ],
)
def test_places(patterns: str, address: str, host: str, fits: bool | None) -> None:
    assert place_fits(patterns, address, host) is fits


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("from=10.0.0.1/8", "write 10.0.0.0/8"),
        ("from=2001:db8::1/64", "write 2001:db8::/64"),
        ("from=127/8", "denies everybody"),
        ("from=10.0.0.0/33", "only 32 bits"),
        ("from=::/129", "only 128 bits"),
        ("from=a, b", "blank"),
        ("from= a", "blank"),
        ("from=a\t", "blank"),
        ("from=a b", "matches nothing"),
        ("from=a,,b", "empty entry"),
        ("from=", "empty entry"),
        ("from=a,", "empty entry"),
        ("from=!10.0.0.1", "only denies"),
        ("from=[::1]", "matches nothing"),
        ("from=alice@host", "matches nothing"),
        ("from=300.1.1.1/8", "matches nothing"),
        ("from=host/24", "matches nothing"),
        ("from=10.0.0.1,!10.0.0.0/8", "denies it, too"),
        ("principals=root", "denies all"),
        ("expiry-time=20200101", "is past"),
        ("expiry-time=20200101Z", "is past"),
    ],
)
def test_what_lets_nobody_in(option: str, said: str) -> None:
    name, _, value = option.partition("=")
    (found,) = problems([Option(name, value)], now=1_800_000_000)
    assert said in found


FINE = ["*", "10.0.0.0/8", "10.*,192.0.2.?", "host", "*.example.org,!bad.example.org", "::1"]


@pytest.mark.parametrize("value", [*FINE, "fe80::1%*"])
def test_what_is_fine(value: str) -> None:
    assert problems([Option("from", value)]) == []


def test_principals_of_an_authority() -> None:
    authority = Option("cert-authority")
    assert problems([authority, Option("principals", "a,b")]) == []
    assert "blank" in problems([authority, Option("principals", "a, b")])[0]
    assert "empty name" in problems([authority, Option("principals", "a,,b")])[0]
    assert "not patterns" in problems([authority, Option("principals", "*")])[0]


@pytest.mark.parametrize(
    ("value", "idle"),
    [("a.example.org", True), ("cafe", True), ("*", False), ("10.*", False), ("::1", False)],
)
def test_names_where_none_are_looked_up(value: str, idle: bool) -> None:
    assert bool(problems([Option("from", value)], names=False)) is idle
    assert problems([Option("from", value)], names=True) == []


def test_a_time_itself_is_not_past() -> None:
    assert not is_past("20300101Z", 1_893_456_000)
    assert is_past("20300101Z", 1_893_456_001)
    assert is_past("no time", 0)


@given(st.text(max_size=80), st.sampled_from(["192.0.2.1", "::1"]), st.text(max_size=20))
def test_any_text_gets_an_answer(patterns: str, address: str, host: str) -> None:
    assert place_fits(patterns, address, host) in {True, False, None}
    problems([Option("from", patterns), Option("principals", host)], now=0.0, names=False)


@given(st.binary(min_size=4, max_size=4), st.integers(0, 32))
def test_networks_hold_their_own(address: bytes, bits: int) -> None:
    text = ".".join(map(str, address))
    network = read_network(f"{text}/{bits}")
    assert network is not None
    base = read_network(network.base())
    assert base is not None
    assert base.is_valid
    assert base.holds(address)
    assert network.is_valid == (network.base() == f"{text}/{bits}")
    assert read_address(text) == address
