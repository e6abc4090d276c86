"""authenticatorSelection and authenticatorReset: what a touch alone authorizes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.virtual.core.client import (
    GA,
    INFO,
    PIN,
    RESET,
    RP,
    SELECTION,
    AuthData,
    Bench,
    Platform,
    S,
    SeededRng,
    descriptor,
    get_request,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core import factory
from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind
from fidokit.virtual.core.profile import CTAP_2_3


@pytest.mark.check("SEL-01")
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.TOUCHED, S.OK),
        (Outcome.UV_MATCHED, S.OK),
        (Outcome.REFUSED, S.OPERATION_DENIED),
        (Outcome.TIMED_OUT, S.USER_ACTION_TIMEOUT),
        (Outcome.CANCELED, S.KEEPALIVE_CANCEL),
    ],
)
def test_selection(bench: Bench, outcome: Outcome, status: S) -> None:
    bench.person.will(outcome)
    assert bench.authenticator.handle(bytes([SELECTION])) == bytes([status])


@pytest.mark.check("SEL-01")
def test_it_leaves_tokens_alone(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, 1, RP)
    pinned.bench.ok(SELECTION)
    assert pinned.bench.make(pinned.make_auth(token)).data.uv


@pytest.mark.check("CBR-12")
def test_bytes_behind_are_ignored(bench: Bench) -> None:
    assert bench.authenticator.handle(bytes([SELECTION]) + b"\xff\x00") == b"\0"


def test_ctap_2_0_has_none() -> None:
    assert Bench("ctap2.0").status(SELECTION) == S.INVALID_COMMAND


@pytest.mark.check("RST-01")
@pytest.mark.parametrize(("wait", "status"), [(0, 0), (10_000, 0), (10_001, S.NOT_ALLOWED)])
def test_window(bench: Bench, wait: int, status: int) -> None:
    bench.clock.advance(wait)
    assert bench.status(RESET) == status
    assert bench.touches() == (0 if status else 1)


@pytest.mark.check("RST-01")
def test_power_opens_the_window_again(bench: Bench) -> None:
    bench.clock.advance(60_000)
    assert bench.status(RESET) == S.NOT_ALLOWED
    bench.authenticator.power_cycle()
    assert bench.authenticator.handle(bytes([RESET])) == b"\0"


@pytest.mark.check("RST-02", "CBR-12")
def test_after_other_commands_and_with_bytes_behind(bench: Bench) -> None:
    bench.make()
    bench.ok(INFO)
    assert bench.raw(bytes([RESET]) + b"\xff").status == 0


@pytest.mark.check("RST-03")
@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.REFUSED, S.OPERATION_DENIED),
        (Outcome.TIMED_OUT, S.USER_ACTION_TIMEOUT),
        (Outcome.CANCELED, S.KEEPALIVE_CANCEL),
    ],
)
def test_nothing_is_erased_untouched(pinned: Platform, outcome: Outcome, status: S) -> None:
    bench = pinned.bench
    wrapped = bench.make()
    before = bench.state
    bench.person.will(outcome)
    assert bench.status(RESET) == status
    assert bench.state == before
    bench.get({3: [descriptor(wrapped.id)]})


@pytest.mark.check("RST-04", "GA-12")
@pytest.mark.parametrize("rk", [True, False])
def test_credentials_die(bench: Bench, rk: bool) -> None:
    listed = get_request({3: [descriptor(bench.make(rk=rk).id)]})
    assert bench.status(GA, listed) == 0
    bench.ok(RESET)
    assert bench.status(GA, listed) == S.NO_CREDENTIALS
    assert bench.status(GA, get_request()) == S.NO_CREDENTIALS
    assert bench.store.count() == 0


@pytest.mark.check("RST-06")
def test_a_long_touch_is_asked_for() -> None:
    bench = Bench(replace(CTAP_2_3, long_touch_for_reset=True))
    bench.make(rk=True)
    bench.touches()
    bench.person.will(Outcome.TIMED_OUT)
    assert bench.status(RESET) == S.USER_ACTION_TIMEOUT
    assert bench.store.count() == 1
    assert bench.status(RESET) == S.OK
    assert bench.person.asked == [PresenceKind.LONG_TOUCH] * 2
    assert bench.store.count() == 0


@pytest.mark.check("RST-06")
@pytest.mark.parametrize(("transport", "expected"), [("usb", S.OK), ("nfc", S.OPERATION_DENIED)])
def test_transports_for_reset(transport: str, expected: int) -> None:
    bench = Bench(replace(CTAP_2_3, transports=("usb", "nfc"), transports_for_reset=("usb",)))
    assert bench.info()[0x1A] == ["usb"]
    answer = bench.authenticator.begin(bytes([RESET]), 1, transport)
    if isinstance(answer, NeedsPresence):
        answer = bench.authenticator.resume(Outcome.TOUCHED)
    assert answer == bytes([expected])


@pytest.mark.check("RST-06")
def test_transports_for_reset_unknown_is_all() -> None:
    bench = Bench(replace(CTAP_2_3, transports_for_reset=()))
    assert 0x1A not in bench.info()
    assert isinstance(bench.authenticator.begin(bytes([RESET]), 1, "nfc"), NeedsPresence)


@pytest.mark.check("RST-05", "CFG-11")
def test_the_state_is_as_made(pinned: Platform) -> None:
    bench = pinned.bench
    made = bench.settled_info()
    bench.authenticator.token.save(
        min_pin_length=8,
        force_pin_change=True,
        always_uv=True,
        uv_retries=1,
        pin_retries=0,
        min_pin_rp_ids=("ssh:",),
    )
    bench.ok(RESET)
    made[4]["clientPin"] = False
    assert bench.settled_info() == made
    assert bench.ok(PIN, {2: 7}) == {5: 8}
    assert bench.state.min_pin_rp_ids == ()
    pinned.agree()
    pinned.set_pin(PIN_CODE)


@pytest.mark.check("RST-05")
def test_templates_are_gone(sensed: Platform) -> None:
    sensed.bench.ok(RESET)
    assert sensed.bench.info()[4]["uv"] is False


@pytest.mark.check("RST-05", "GA-17")
def test_the_counter_goes_on(bench: Bench) -> None:
    before = bench.make().data.counter
    bench.ok(RESET)
    bench.make(rk=True)
    assert AuthData.parse(bench.get()[2]).counter > before


def test_only_the_identity_survives() -> None:
    rng = SeededRng()
    state = factory.new_state(CTAP_2_3, rng, uv_enrolled=True)
    after = factory.reset_state(CTAP_2_3, state, rng)
    assert after.aaguid == state.aaguid
    assert after.attestation_key == state.attestation_key
    assert after.attestation_certificate == state.attestation_certificate
    assert after.wrapping_key != state.wrapping_key
    assert after.hmac_secret_key != state.hmac_secret_key
