"""The PIN: the policy for new ones at its edges (PIN-11..15), and the lock."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.virtual.core.client import RESET, Bench, Platform, S, SeededRng

from fidokit.types import CtapStatus
from fidokit.virtual.core.person.pin import (
    NEXT,
    PinEvent,
    PinLock,
    PinState,
    judge_new_pin,
    too_simple,
)
from fidokit.virtual.core.ports import CtapRejection
from fidokit.virtual.core.profile import CTAP_2_3

TOKEN = Bench().authenticator.token


@pytest.mark.check("PIN-11", "PIN-13")
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=70))
def test_code_points_and_bytes_decide(pin: str) -> None:
    raw = pin.encode()
    padded = raw + bytes(max(0, 64 - len(raw)))
    if len(pin) >= 4 and len(raw) <= 63:
        expected = hashlib.sha256(raw).digest()[:16]
        assert judge_new_pin(TOKEN.profile, TOKEN.state, padded) == (expected, len(pin))
        return
    with pytest.raises(CtapRejection) as refused:
        judge_new_pin(TOKEN.profile, TOKEN.state, padded)
    fits = len(padded) == 64
    expected_status = CtapStatus.PIN_POLICY_VIOLATION if fits else CtapStatus.INVALID_PARAMETER
    assert refused.value.status == expected_status


@pytest.mark.check("PIN-12")
@pytest.mark.parametrize(
    "padded", [None, b"", b"1234", bytes(63), bytes(64), bytes(80), b"\xc3\xa9" * 32]
)
def test_forms_that_are_none(padded: bytes | None) -> None:
    with pytest.raises(CtapRejection):
        judge_new_pin(TOKEN.profile, TOKEN.state, padded)


SIMPLE = [
    "0000",
    "aaaa",
    "\N{KEY}" * 5,
    "1234",
    "4321",
    "7890",
    "0987",
    "abcde",
    "EDCB",
    "1234567890",
]
LISTED = ["2580", "Password", "qwerty", "112233"]
GOOD = ["1235", "4711", "aaab", "1357", "motörhead", "qwertz!", "\N{KEY}\N{LOCK}\N{KEY}\N{KEY}"]


@pytest.mark.check("PIN-14")
@pytest.mark.parametrize("pin", [*SIMPLE, *LISTED])
def test_simple_ones(pin: str) -> None:
    assert too_simple(pin)


@pytest.mark.check("PIN-14")
@pytest.mark.parametrize("pin", GOOD)
def test_good_ones(pin: str) -> None:
    assert not too_simple(pin)


@example("\u1fc2", 4)  # folds to two characters
@given(st.characters(exclude_categories=["Cs"]), st.integers(4, 63))
def test_one_character_is_never_enough(character: str, length: int) -> None:
    assert too_simple(character * length)


@pytest.fixture
def strict(fresh: Platform) -> Platform:
    """A token on which somebody switched the policy on."""
    fresh.bench.authenticator.token.save(pin_complexity=True)
    return fresh


@pytest.mark.check("PIN-14")
@pytest.mark.parametrize("pin", [*SIMPLE, *LISTED])
def test_a_simple_pin_is_not_set(strict: Platform, pin: str) -> None:
    assert strict.status(strict.set_request(pin)) == S.PIN_POLICY_VIOLATION
    assert strict.bench.info()[4]["clientPin"] is False


@pytest.mark.check("PIN-14", "PIN-18")
def test_nor_does_a_change_lead_to_one(strict: Platform) -> None:
    strict.set_pin("4711")
    assert strict.status(strict.change_request("4711", "1111")) == S.PIN_POLICY_VIOLATION
    assert strict.retries() == 8
    assert strict.try_pin("4711") == S.OK
    assert strict.status(strict.change_request("4711", "0815")) == S.OK


@pytest.mark.check("PIN-14")
@pytest.mark.parametrize("pin", [*SIMPLE, *LISTED])
def test_without_the_policy_they_are_fine(fresh: Platform, pin: str) -> None:
    assert fresh.status(fresh.set_request(pin)) == S.OK


@pytest.mark.check("PIN-14", "RST-05")
@pytest.mark.parametrize(("preset", "after"), [(False, S.OK), (True, S.PIN_POLICY_VIOLATION)])
def test_a_reset_returns_to_what_the_model_was_made_with(preset: bool, after: S) -> None:
    bench = Bench(replace(CTAP_2_3, pin_complexity=preset))
    bench.authenticator.token.save(pin_complexity=True)
    bench.ok(RESET)
    platform = Platform(bench)
    assert platform.status(platform.set_request("1234")) == after
    assert bench.info()[0x1B] is preset


@pytest.fixture
def state() -> PinState:
    return PinState(SeededRng())


@pytest.mark.check("PIN-26")
def test_three_misses_in_a_row(state: PinState) -> None:
    assert [state.missed(left) for left in (7, 6, 5)] == [
        CtapStatus.PIN_INVALID,
        CtapStatus.PIN_INVALID,
        CtapStatus.PIN_AUTH_BLOCKED,
    ]
    assert state.lock(5) is PinLock.NEEDS_POWER_CYCLE


@pytest.mark.check("PIN-25")
def test_a_match_starts_the_row_over(state: PinState) -> None:
    for _ in range(4):
        assert state.missed(7) == state.missed(6) == CtapStatus.PIN_INVALID
        state.matched()
    assert state.lock(8) is PinLock.READY


@pytest.mark.check("PIN-28")
@pytest.mark.parametrize("before", [0, 1, 2])
def test_no_tries_left(state: PinState, before: int) -> None:
    for left in range(before, 0, -1):
        state.missed(left)
    assert state.missed(0) is CtapStatus.PIN_BLOCKED
    assert state.lock(0) is PinLock.BLOCKED


@pytest.mark.check("PIN-28")
def test_durable_tries_decide_after_power_up(state: PinState) -> None:
    assert state.lock(0) is PinLock.BLOCKED


def test_only_a_ready_pin_sees_events() -> None:
    assert {lock for lock, _ in NEXT} == {PinLock.READY}
    assert {event for _, event in NEXT} == set(PinEvent)


@pytest.mark.check("PIN-04", "PIN-29")
def test_agreement_keys(state: PinState) -> None:
    first = state.agreement(2)
    assert state.agreement(2) is first
    assert state.agreement(1).public() != first.public()
    state.matched()
    assert state.agreement(2) is first
    state.missed(7)
    assert state.agreement(2).public() != first.public()
