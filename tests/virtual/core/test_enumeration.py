"""The one remembered enumeration (GN-02..04, CM-09, TOK-15)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.virtual.core.client import FakeClock

from fidokit.types import CtapStatus
from fidokit.virtual.core.enumeration import Enumerations, Listing
from fidokit.virtual.core.ports import CtapRejection

RPS = Listing.RELYING_PARTIES


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def remembered(clock: FakeClock) -> Enumerations:
    enumerations = Enumerations(clock)
    enumerations.begin(RPS, "abc", channel=1, token_serial=5)
    return enumerations


def refused(take: Callable[[], object]) -> None:
    with pytest.raises(CtapRejection) as rejection:
        take()
    assert rejection.value.status == CtapStatus.NOT_ALLOWED


def test_in_turn_until_the_end(remembered: Enumerations) -> None:
    assert [remembered.take(RPS, 1, 5) for _ in range(3)] == ["a", "b", "c"]
    refused(lambda: remembered.take(RPS, 1, 5))


@pytest.mark.check("CM-09", "GN-04", "TOK-15")
@pytest.mark.parametrize(
    ("listing", "channel", "serial"),
    [(Listing.CREDENTIALS, 1, 5), (RPS, 2, 5), (RPS, 1, 6), (RPS, 1, None)],
)
def test_a_stranger_ends_it(
    remembered: Enumerations, listing: Listing, channel: int, serial: int | None
) -> None:
    refused(lambda: remembered.take(listing, channel, serial))
    refused(lambda: remembered.take(RPS, 1, 5))


@pytest.mark.check("CM-09", "GN-03")
def test_silence_ends_it(remembered: Enumerations, clock: FakeClock) -> None:
    clock.advance(30_000)
    assert remembered.take(RPS, 1, 5) == "a"
    clock.advance(30_000)
    assert remembered.take(RPS, 1, 5) == "b"
    clock.advance(30_001)
    refused(lambda: remembered.take(RPS, 1, 5))


def test_without_a_token_any_will_do(clock: FakeClock) -> None:
    enumerations = Enumerations(clock)
    enumerations.begin(RPS, "a", channel=1, token_serial=None)
    assert enumerations.take(RPS, 1, 9) == "a"


def test_what_a_command_keeps(remembered: Enumerations) -> None:
    remembered.keep_only(frozenset({RPS, Listing.CREDENTIALS}))
    assert remembered.take(RPS, 1, 5) == "a"
    remembered.keep_only(frozenset({Listing.CREDENTIALS}))
    refused(lambda: remembered.take(RPS, 1, 5))


@pytest.mark.check("CM-09")
def test_a_new_begin_restarts(remembered: Enumerations) -> None:
    remembered.take(RPS, 1, 5)
    remembered.begin(RPS, "xy", channel=2, token_serial=6)
    assert remembered.take(RPS, 2, 6) == "x"


def test_dropped(remembered: Enumerations) -> None:
    remembered.drop()
    refused(lambda: remembered.take(RPS, 1, 5))
