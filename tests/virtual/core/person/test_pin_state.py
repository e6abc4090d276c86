"""The PIN's lock as a table (PIN-25..29)."""

from __future__ import annotations

import pytest
from tests.virtual.core.client import SeededRng

from fidokit.types import CtapStatus
from fidokit.virtual.core.person.pin_state import NEXT, Event, Lock, PinState
from fidokit.virtual.core.profile import CTAP_2_3


@pytest.fixture
def state() -> PinState:
    return PinState(CTAP_2_3, SeededRng())


@pytest.mark.check("PIN-26")
def test_three_misses_in_a_row(state: PinState) -> None:
    assert [state.missed(left) for left in (7, 6, 5)] == [
        CtapStatus.PIN_INVALID,
        CtapStatus.PIN_INVALID,
        CtapStatus.PIN_AUTH_BLOCKED,
    ]
    assert state.lock(5) is Lock.NEEDS_POWER_CYCLE


@pytest.mark.check("PIN-25")
def test_a_match_starts_the_row_over(state: PinState) -> None:
    for _ in range(4):
        assert state.missed(7) == state.missed(6) == CtapStatus.PIN_INVALID
        state.matched()
    assert state.lock(8) is Lock.READY


@pytest.mark.check("PIN-28")
@pytest.mark.parametrize("before", [0, 1, 2])
def test_no_tries_left(state: PinState, before: int) -> None:
    for left in range(before, 0, -1):
        state.missed(left)
    assert state.missed(0) is CtapStatus.PIN_BLOCKED
    assert state.lock(0) is Lock.BLOCKED


@pytest.mark.check("PIN-28")
def test_durable_tries_decide_after_power_up(state: PinState) -> None:
    assert state.lock(0) is Lock.BLOCKED


def test_only_a_ready_pin_sees_events() -> None:
    assert {lock for lock, _ in NEXT} == {Lock.READY}
    assert {event for _, event in NEXT} == set(Event)


@pytest.mark.check("PIN-04", "PIN-29")
def test_agreement_keys(state: PinState) -> None:
    first = state.agreement(2)
    assert state.agreement(2) is first
    assert state.agreement(1).public() != first.public()
    state.matched()
    assert state.agreement(2) is first
    state.missed(7)
    assert state.agreement(2).public() != first.public()
