"""A token as made: fresh secrets, the profile's limits, and the same bytes for the same seed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.virtual.core.client import HASH, Bench, SeededRng, encode, make_request, param

from fidokit.virtual.core import factory
from fidokit.virtual.core.profile import CTAP_2_3, PROFILES, Profile


@pytest.mark.parametrize("model", PROFILES.values(), ids=PROFILES)
def test_as_made(model: Profile) -> None:
    state = factory.new_state(model, SeededRng())
    assert state.aaguid == model.aaguid
    assert (state.pin_hash, state.pin_length, state.pin_retries) == (None, 0, model.pin_attempts)
    assert (state.uv_retries, state.uv_enrolled) == (model.uv_attempts, False)
    assert state.min_pin_length == model.min_pin_length
    assert not state.always_uv
    assert not state.force_pin_change
    assert len({state.wrapping_key, state.hmac_secret_key, state.attestation_key}) == 3


def test_always_uv_from_the_factory() -> None:
    state = factory.new_state(CTAP_2_3.with_options(alwaysUv=True), SeededRng())
    assert state.always_uv
    after = factory.reset_state(CTAP_2_3.with_options(alwaysUv=True), state, SeededRng(2))
    assert after.always_uv


def test_a_sensor_that_comes_configured_stays_so_over_a_reset() -> None:
    model = CTAP_2_3.with_options(uv=True)
    state = factory.new_state(model, SeededRng())
    assert state.uv_enrolled
    assert factory.reset_state(model, state, SeededRng(2)).uv_enrolled
    taught = factory.new_state(CTAP_2_3, SeededRng(), uv_enrolled=True)
    assert not factory.reset_state(CTAP_2_3, taught, SeededRng(2)).uv_enrolled


def test_a_seed_repeats_everything_but_ecdsa_nonces() -> None:
    model = replace(CTAP_2_3, self_attestation=True)
    request = b"\1" + encode(make_request({4: [param(-8)]}, rk=True))
    replies = {Bench(model, seed=7).authenticator.handle(request) for _ in range(3)}
    assert len(replies) == 1
    assert factory.new_state(model, SeededRng(3)) == factory.new_state(model, SeededRng(3))
    assert HASH not in replies
