"""PINs that are too simple, and that the policy is enforced where a PIN is set (PIN-14)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import RESET, Bench, Platform, S

from fidokit.virtual.core.person.pin_complexity import too_simple
from fidokit.virtual.core.profile import CTAP_2_3

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
