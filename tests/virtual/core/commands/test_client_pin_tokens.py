"""clientPIN's tokens and tries, check by check (PIN-19 to PIN-32), under both protocols."""

from __future__ import annotations

import hashlib

import pytest
from tests.virtual.core.client import (
    HASH,
    PIN,
    RP,
    Bench,
    Platform,
    S,
    encode,
    make_request,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.ports import DurableState, Outcome
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.store import MemoryStore

OTHER = "another pin"
WRONG = "wrong pin"


@pytest.mark.check("PIN-19")
def test_old_token(fresh: Platform) -> None:
    bench = fresh.bench
    assert bench.status(PIN, fresh.old_token_request(PIN_CODE)) == S.PIN_NOT_SET
    fresh.set_pin(PIN_CODE)
    for extra in ({9: 1}, {10: RP}):
        request = fresh.old_token_request(PIN_CODE) | extra
        assert bench.status(PIN, request) == S.INVALID_PARAMETER
    sealed = bench.ok(PIN, fresh.old_token_request(PIN_CODE))[2]
    assert len(sealed) == (32 if fresh.version == 1 else 48)
    assert bench.make(fresh.make_auth(fresh.open(sealed))).data.uv


@pytest.mark.check("PIN-20")
def test_forced_change(pinned: Platform) -> None:
    pinned.bench.authenticator.token.save(force_pin_change=True)
    assert pinned.status(pinned.old_token_request(WRONG)) == S.PIN_INVALID
    assert pinned.retries() == 7
    assert pinned.status(pinned.old_token_request(PIN_CODE)) == S.PIN_INVALID
    assert pinned.retries() == 8
    assert pinned.try_pin(WRONG) == S.PIN_INVALID
    assert pinned.try_pin(PIN_CODE) == S.PIN_POLICY_VIOLATION
    assert pinned.retries() == 8


@pytest.mark.check("PIN-21")
def test_permissions(pinned: Platform) -> None:
    bench = pinned.bench
    assert bench.status(PIN, pinned.token_request(PIN_CODE, 0)) == S.INVALID_PARAMETER
    assert len(pinned.token(PIN_CODE, 0x83, RP)) == 32
    token = pinned.token(PIN_CODE, 0x80)
    assert bench.status(1, make_request(pinned.make_auth(token))) == S.PIN_AUTH_INVALID
    assert pinned.retries() == 8


@pytest.mark.check("PIN-22", "PIN-23")
@pytest.mark.parametrize("permission", [0x08, 0x40, 0x09, 0x41])
def test_permissions_without_their_feature(permission: int) -> None:
    platform = Platform(Bench(CTAP_2_3.with_options(bioEnroll=None, perCredMgmtRO=None)))
    platform.set_pin(PIN_CODE)
    request = platform.token_request(PIN_CODE, permission)
    assert platform.bench.status(PIN, request) == S.UNAUTHORIZED_PERMISSION
    assert platform.retries() == 8


@pytest.mark.check("PIN-22")
@pytest.mark.parametrize(
    ("options", "permission"),
    [
        ({"credMgmt": None}, 0x04),
        ({"authnrCfg": None}, 0x20),
        ({"largeBlobs": None}, 0x10),
        ({"noMcGaPermissionsWithClientPin": True}, 0x01),
        ({"noMcGaPermissionsWithClientPin": True}, 0x02),
    ],
)
def test_permissions_of_lesser_models(options: dict[str, bool | None], permission: int) -> None:
    platform = Platform(Bench(CTAP_2_3.with_options(**options)))
    platform.set_pin(PIN_CODE)
    request = platform.token_request(PIN_CODE, permission)
    assert platform.bench.status(PIN, request) == S.UNAUTHORIZED_PERMISSION


@pytest.mark.check("PIN-19", "PIN-22")
def test_old_token_where_the_pin_authorizes_no_use() -> None:
    """Its permissions are makeCredential and getAssertion, which such a model keeps back."""
    platform = Platform(Bench(CTAP_2_3.with_options(noMcGaPermissionsWithClientPin=True)))
    platform.set_pin(PIN_CODE)
    for code in (PIN_CODE, WRONG):
        request = platform.old_token_request(code)
        assert platform.bench.status(PIN, request) == S.UNAUTHORIZED_PERMISSION
    assert platform.retries() == 8


@pytest.mark.check("PIN-22")
@pytest.mark.parametrize(("permission", "status"), [(0x04, 0), (0x20, 0x40), (0x08, 0x40)])
def test_permissions_by_sensor(sensed: Platform, permission: int, status: int) -> None:
    assert sensed.bench.status(PIN, sensed.uv_request(permission)) == 0
    without = CTAP_2_3.with_options(uvAcfg=None, uvBioEnroll=None)
    lesser = Platform(Bench(without, uv=True), sensed.version)
    assert lesser.bench.status(PIN, lesser.uv_request(permission)) == status


@pytest.mark.check("PIN-23")
@pytest.mark.parametrize(("mixed", "status"), [(0x41, 0x40), (0x44, 0x40)])
def test_pcmr_comes_alone(mixed: int, status: int) -> None:
    platform = Platform(Bench(CTAP_2_3.with_options(perCredMgmtRO=True)))
    platform.set_pin(PIN_CODE)
    assert platform.bench.status(PIN, platform.token_request(PIN_CODE, mixed)) == status


@pytest.mark.check("PIN-24")
@pytest.mark.parametrize("sealed", [b"", b"x", b"x" * 15, b"x" * 33])
def test_a_hash_that_cannot_be_opened(pinned: Platform, sealed: bytes) -> None:
    request = pinned.token_request(PIN_CODE, 1) | {6: sealed}
    assert pinned.status(request) == S.PIN_INVALID
    assert pinned.retries() == 7


@pytest.mark.check("PIN-24")
def test_a_hash_that_is_too_long(pinned: Platform) -> None:
    hashed = hashlib.sha256(PIN_CODE.encode()).digest()
    request = pinned.token_request(PIN_CODE, 1) | {6: pinned.seal(hashed)}
    assert pinned.status(request) == S.PIN_INVALID


@pytest.mark.check("PIN-25")
def test_two_misses_and_a_match(pinned: Platform) -> None:
    assert [pinned.try_pin(WRONG) for _ in range(2)] == [S.PIN_INVALID] * 2
    assert pinned.retries() == 6
    assert pinned.try_pin(PIN_CODE) == 0
    assert pinned.retries() == 8
    assert [pinned.try_pin(WRONG) for _ in range(2)] == [S.PIN_INVALID] * 2


class Unplugged(Exception):
    """Power goes the moment that something is durable."""


class DyingStore(MemoryStore):
    """Dies right after the next save."""

    def save(self, state: DurableState) -> None:
        super().save(state)
        raise Unplugged


@pytest.mark.check("PIN-25", "PIN-27")
def test_the_try_is_durable_before_the_comparison(pinned: Platform) -> None:
    bench = pinned.bench
    dying = DyingStore(bench.state)
    bench.authenticator.token.store = dying
    request = pinned.token_request(PIN_CODE, 1)
    with pytest.raises(Unplugged):
        bench.call(PIN, request)
    assert dying.load().pin_retries == 7


@pytest.mark.check("PIN-26", "PIN-27")
def test_third_miss_in_a_row(pinned: Platform) -> None:
    statuses = [pinned.try_pin(WRONG) for _ in range(3)]
    assert statuses == [S.PIN_INVALID, S.PIN_INVALID, S.PIN_AUTH_BLOCKED]
    for pin in (WRONG, PIN_CODE):
        assert pinned.try_pin(pin) == S.PIN_AUTH_BLOCKED
        assert pinned.status(pinned.old_token_request(pin)) == S.PIN_AUTH_BLOCKED
    assert pinned.retries() == 5
    pinned.bench.power_up()
    pinned.agree()
    assert pinned.retries() == 5
    assert pinned.try_pin(PIN_CODE) == 0
    assert pinned.retries() == 8


@pytest.mark.check("PIN-28", "RST-05")
def test_blocked_for_good(pinned: Platform) -> None:
    bench = pinned.bench
    statuses = []
    for _ in range(8):
        statuses.append(pinned.try_pin(WRONG))
        if statuses[-1] == S.PIN_AUTH_BLOCKED:
            bench.power_up()
            pinned.agree()
    assert statuses == [0x31, 0x31, 0x34, 0x31, 0x31, 0x34, 0x31, 0x32]
    assert pinned.try_pin(PIN_CODE) == S.PIN_BLOCKED
    bench.power_up()
    pinned.agree()
    assert pinned.try_pin(PIN_CODE) == S.PIN_BLOCKED
    assert bench.ok(PIN, {2: 1}) == {3: 0}
    bench.ok(0x07)
    assert pinned.retries() == 8
    assert bench.info()[4]["clientPin"] is False


@pytest.mark.check("PIN-29")
def test_a_miss_changes_the_key(pinned: Platform) -> None:
    bench = pinned.bench
    assert bench.status(PIN, pinned.token_request(WRONG, 1)) == S.PIN_INVALID
    assert bench.status(PIN, pinned.token_request(PIN_CODE, 1)) == S.PIN_INVALID
    assert pinned.retries() == 6
    pinned.agree()
    assert pinned.try_pin(PIN_CODE) == 0


@pytest.mark.check("PIN-30", "PIN-31")
def test_token_by_sensor(sensed: Platform) -> None:
    bench = sensed.bench
    assert bench.ok(PIN, {2: 7}) == {5: 8}
    token = sensed.uv_token(1, RP)
    assert bench.touches() == 1
    assert bench.make(sensed.make_auth(token)).data.flags == 0x45
    assert bench.touches() == 0


@pytest.mark.check("PIN-30")
def test_sensor_not_configured(fresh: Platform) -> None:
    assert fresh.bench.status(PIN, fresh.uv_request(1)) == S.NOT_ALLOWED
    assert fresh.bench.touches() == 0


@pytest.mark.check("PIN-30")
@pytest.mark.parametrize(
    ("outcome", "status", "left"),
    [
        (Outcome.UV_MISMATCHED, S.UV_INVALID, 7),
        (Outcome.TIMED_OUT, S.USER_ACTION_TIMEOUT, 7),
        (Outcome.REFUSED, S.UV_INVALID, 7),
        (Outcome.CANCELED, S.KEEPALIVE_CANCEL, 7),
    ],
)
def test_sensor_failures(sensed: Platform, outcome: Outcome, status: S, left: int) -> None:
    sensed.bench.person.will(outcome)
    assert sensed.bench.status(PIN, sensed.uv_request(1)) == status
    assert sensed.bench.ok(PIN, {2: 7}) == {5: left}


@pytest.mark.check("PIN-30", "PIN-31")
def test_sensor_blocked_and_restored_by_pin(sensed: Platform) -> None:
    bench = sensed.bench
    sensed.set_pin(PIN_CODE)
    bench.person.will(*[Outcome.UV_MISMATCHED] * 8)
    statuses = [bench.status(PIN, sensed.uv_request(1)) for _ in range(9)]
    assert statuses == [S.UV_INVALID] * 7 + [S.UV_BLOCKED] * 2
    assert bench.touches() == 8
    bench.power_up()
    sensed.agree()
    assert bench.status(PIN, sensed.uv_request(1)) == S.UV_BLOCKED
    sensed.token(PIN_CODE)
    assert bench.ok(PIN, {2: 7}) == {5: 8}
    assert len(sensed.uv_token()) == 32


@pytest.mark.check("PIN-28", "PIN-30")
def test_a_blocked_pin_blocks_the_sensor(sensed: Platform) -> None:
    bench = sensed.bench
    sensed.set_pin(PIN_CODE)
    bench.authenticator.token.save(pin_retries=0)
    assert bench.ok(PIN, {2: 7}) == {5: 8}
    assert bench.status(PIN, sensed.uv_request(1)) == S.UV_BLOCKED
    assert bench.touches() == 0
    assert bench.ok(PIN, {2: 7}) == {5: 0}


@pytest.mark.check("PIN-30")
def test_sensor_attempt_is_durable_first(sensed: Platform) -> None:
    answer = sensed.bench.authenticator.begin(b"\x06" + encode(sensed.uv_request(1)))
    assert not isinstance(answer, bytes)
    assert sensed.bench.state.uv_retries == 7
    sensed.bench.authenticator.resume(Outcome.UV_MATCHED)
    assert sensed.bench.state.uv_retries == 8


@pytest.mark.check("PIN-32")
def test_protocols_do_not_mix() -> None:
    bench = Bench()
    one, two = Platform(bench, 1), Platform(bench, 2)
    mixed = one.set_request(PIN_CODE) | {1: 2}
    assert bench.status(PIN, mixed) == S.PIN_AUTH_INVALID
    two.set_pin(PIN_CODE)
    token = one.token(PIN_CODE, 1)
    request = make_request({8: two.mac(token, HASH), 9: 2})
    assert bench.status(1, request) == S.PIN_AUTH_INVALID
    assert bench.status(PIN, one.token_request(PIN_CODE, 1) | {1: 2}) == S.PIN_INVALID
    two.agree()
    assert bench.status(PIN, two.token_request(PIN_CODE, 1)) == 0


@pytest.mark.check("PIN-32")
def test_pins_ask_for_no_gesture(pinned: Platform) -> None:
    pinned.token(PIN_CODE)
    pinned.bench.ok(PIN, pinned.old_token_request(PIN_CODE))
    pinned.bench.ok(PIN, pinned.change_request(PIN_CODE, OTHER))
    assert pinned.bench.touches() == 0


def test_ctap_2_0_tokens_do_everything_until_power_goes() -> None:
    bench = Bench("ctap2.0")
    platform = Platform(bench, 1)
    platform.set_pin(PIN_CODE)
    assert bench.status(PIN, platform.token_request(PIN_CODE, 1)) == S.INVALID_SUBCOMMAND
    request = platform.old_token_request(PIN_CODE) | {9: 1, 10: RP}
    token = platform.open(bench.ok(PIN, request)[2])
    for rp_id in (RP, "ssh:other"):
        bench.clock.advance(700_000)
        assert bench.make(platform.make_auth(token) | {2: {"id": rp_id}}).data.uv
    bench.authenticator.power_cycle()
    assert bench.status(1, make_request(platform.make_auth(token))) == S.PIN_AUTH_INVALID
