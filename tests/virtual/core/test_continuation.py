"""What goes on over several commands: enumerations and uploads."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.virtual.core.client import FakeClock

from fidokit.types import CtapStatus
from fidokit.virtual.core.continuation import Continuation, Enumerations, Upload, Uploads
from fidokit.virtual.core.ports import CtapRejection

RPS = Continuation.RELYING_PARTIES


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
    [(Continuation.CREDENTIALS, 1, 5), (RPS, 2, 5), (RPS, 1, 6), (RPS, 1, None)],
)
def test_a_stranger_ends_it(
    remembered: Enumerations, listing: Continuation, channel: int, serial: int | None
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
    remembered.keep_only(frozenset({RPS, Continuation.CREDENTIALS}))
    assert remembered.take(RPS, 1, 5) == "a"
    remembered.keep_only(frozenset({Continuation.CREDENTIALS}))
    refused(lambda: remembered.take(RPS, 1, 5))


@pytest.mark.check("CM-09")
def test_a_new_begin_restarts(remembered: Enumerations) -> None:
    remembered.take(RPS, 1, 5)
    remembered.begin(RPS, "xy", channel=2, token_serial=6)
    assert remembered.take(RPS, 2, 6) == "x"


def test_dropped(remembered: Enumerations) -> None:
    remembered.drop()
    refused(lambda: remembered.take(RPS, 1, 5))


@pytest.fixture
def uploads() -> Uploads:
    """Channel 7 has sent five bytes of nine."""
    uploads = Uploads()
    uploads.keep(Upload(9, 7, b"fives"))
    return uploads


@pytest.mark.check("LB-05")
def test_only_the_next_byte_of_the_same_channel_goes_on(uploads: Uploads) -> None:
    due = {(c, o) for c in range(10) for o in range(10) if uploads.due(c, o) is not None}
    assert due == {(7, 5)}
    assert uploads.due(7, 5) == uploads.due(7, 5) == Upload(9, 7, b"fives")


def test_a_new_upload_takes_the_place_of_the_old(uploads: Uploads) -> None:
    uploads.keep(Upload(20, 3))
    assert uploads.due(7, 5) is None
    assert uploads.due(3, 0) == Upload(20, 3, b"")


def test_dropping(uploads: Uploads) -> None:
    uploads.drop()
    uploads.drop()
    assert uploads.due(7, 5) is None
    assert Uploads().due(0, 0) is None
