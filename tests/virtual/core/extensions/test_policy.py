"""What relying parties may learn of the token and its person: minPinLength, complexity, uvm."""

from __future__ import annotations

from typing import Any

import pytest
from tests.virtual.core.client import MC, RP, AuthData, Bench, Platform, S, case, make_request
from tests.virtual.core.conftest import PIN_CODE

BOTH = {"minPinLength": True, "pinComplexityPolicy": True}


def told(bench: Bench, *rp_ids: str, **state: Any) -> None:
    """The owner names the relying parties that may know."""
    bench.authenticator.token.save(min_pin_rp_ids=rp_ids, **state)


@pytest.mark.parametrize(
    "inputs",
    [
        case("EXT-01 MPL-01", {"minPinLength": 1}),
        case("EXT-01 MPL-01", {"minPinLength": None}),
        case("EXT-01 PCP-01", {"pinComplexityPolicy": "yes"}),
        case("EXT-01 UVM-01", {"uvm": 2}),
    ],
)
def test_wrong_types(bench: Bench, inputs: Any) -> None:
    told(bench, RP)
    assert bench.status(MC, make_request({6: inputs})) == S.CBOR_UNEXPECTED_TYPE


@pytest.mark.check("MPL-01")
@pytest.mark.parametrize("length", [4, 9, 63])
@pytest.mark.parametrize("rk", [True, False])
def test_the_minimum_length(bench: Bench, length: int, rk: bool) -> None:
    told(bench, "ssh:other", RP, min_pin_length=length)
    made = bench.make({6: {"minPinLength": True}}, rk=rk)
    assert made.data.extensions == {"minPinLength": bench.info()[0x0D]} == {"minPinLength": length}


@pytest.mark.check("PCP-01")
@pytest.mark.parametrize("policy", [True, False])
def test_the_complexity_policy(bench: Bench, policy: bool) -> None:
    told(bench, RP, pin_complexity=policy)
    made = bench.make({6: {"pinComplexityPolicy": True}})
    assert made.data.extensions == {"pinComplexityPolicy": policy}
    assert bench.info()[0x1B] is policy


@pytest.mark.check("MPL-01", "PCP-01")
@pytest.mark.parametrize("listed", [(), ("ssh:other",), ("ssh:",), (RP + " ",)])
def test_others_learn_nothing(bench: Bench, listed: tuple[str, ...]) -> None:
    told(bench, *listed, pin_complexity=True)
    made = bench.make({6: BOTH})
    assert (made.data.extensions, made.data.flags) == (None, 0x41)


@pytest.mark.check("EXT-01")
def test_nor_those_who_do_not_ask(bench: Bench) -> None:
    told(bench, RP)
    assert bench.make({6: dict.fromkeys((*BOTH, "uvm"), False)}).data.extensions is None
    bench.make(rk=True)
    assert AuthData.parse(bench.get({4: BOTH})[2]).extensions is None


# --- uvm -----------------------------------------------------------------------------------------

PRESENCE, FINGERPRINT, PIN = ([[method, 1, 1]] for method in (0x001, 0x002, 0x800))


def rows(body: Any) -> Any:
    found = AuthData.parse(body[2]).extensions["uvm"]
    assert 1 <= len(found) <= 3
    return found


@pytest.mark.check("UVM-01")
def test_presence_alone(bench: Bench) -> None:
    made = bench.make({6: {"uvm": True}}, rk=True)
    assert rows(made.body) == PRESENCE
    assert rows(bench.get({4: {"uvm": True}})) == PRESENCE


@pytest.mark.check("UVM-01")
def test_a_pin(pinned: Platform) -> None:
    patch = {6: {"uvm": True}} | pinned.make_auth(pinned.token(PIN_CODE, 1))
    assert rows(pinned.bench.make(patch, rk=True).body) == PIN
    used = {4: {"uvm": True}} | pinned.get_auth(pinned.token(PIN_CODE, 2))
    assert rows(pinned.bench.get(used)) == PIN


@pytest.mark.check("UVM-01")
def test_a_sensor_by_option_and_by_token(sensed: Platform) -> None:
    bench = sensed.bench
    assert rows(bench.make({6: {"uvm": True}}, rk=True, uv=True).body) == FINGERPRINT
    assert rows(bench.get({4: {"uvm": True}}, uv=True)) == FINGERPRINT
    patch = {6: {"uvm": True}} | sensed.make_auth(sensed.uv_token(1))
    assert rows(bench.make(patch).body) == FINGERPRINT
    late = {4: {"uvm": True}} | sensed.get_auth(sensed.uv_token(2))
    bench.clock.advance(29_000)
    assert rows(bench.get(late)) == FINGERPRINT


@pytest.mark.check("UVM-01")
def test_a_pin_on_a_token_that_has_a_sensor(sensed: Platform) -> None:
    sensed.set_pin(PIN_CODE)
    patch = {6: {"uvm": True}} | sensed.make_auth(sensed.token(PIN_CODE, 1))
    assert rows(sensed.bench.make(patch).body) == PIN
