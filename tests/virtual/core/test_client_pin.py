"""clientPIN, check by check (PIN-*), under both protocols."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    HASH,
    MISSING,
    PIN,
    RP,
    Bench,
    Platform,
    S,
    case,
    encode,
    make_request,
    patched,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.ports import DurableState, Outcome
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.store import MemoryStore

OTHER = "another pin"
WRONG = "wrong pin"


@pytest.mark.check("PIN-01", "CBR-13")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        (1, "1"),
        (1, -1),
        (2, "2"),
        (2, None),
        (3, []),
        (4, "x"),
        (5, "x"),
        (6, 1),
        (9, -1),
        (10, b"x"),
    ],
)
def test_wrong_types(bench: Bench, member: int, value: Any) -> None:
    assert bench.status(PIN, {1: 2, 2: 1, member: value}) == S.CBOR_UNEXPECTED_TYPE


@pytest.mark.check("PIN-01")
def test_unneeded_members_are_ignored(bench: Bench) -> None:
    assert bench.ok(PIN, {1: 2, 2: 1, 4: b"x", 5: b"", 6: b"", 9: 0, 10: "x", 77: 1}) == {3: 8}


@pytest.mark.check("PIN-02", "PIN-03")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({1: 3, 2: 2}, S.INVALID_PARAMETER),
        ({1: 3, 2: 99}, S.INVALID_PARAMETER),
        ({1: 2}, S.MISSING_PARAMETER),
        ({}, S.MISSING_PARAMETER),
        ({2: 2}, S.MISSING_PARAMETER),
        ({1: 2, 2: 0}, S.INVALID_SUBCOMMAND),
        ({1: 2, 2: 8}, S.INVALID_SUBCOMMAND),
        ({1: 2, 2: 99}, S.INVALID_SUBCOMMAND),
    ],
)
def test_refusals(bench: Bench, request_: Any, status: S) -> None:
    assert bench.status(PIN, request_) == status


@pytest.mark.check("PIN-03")
@pytest.mark.parametrize(
    ("model", "subcommands"),
    [
        (CTAP_2_3.with_options(uv=None), (6, 7)),
        (CTAP_2_3.with_options(clientPin=None), (1, 3, 4, 5, 9)),
        (CTAP_2_3.with_options(pinUvAuthToken=None), (6, 9)),
    ],
)
def test_subcommands_without_their_feature(model: Any, subcommands: tuple[int, ...]) -> None:
    for subcommand in subcommands:
        assert Bench(model).status(PIN, {1: 2, 2: subcommand}) == S.INVALID_SUBCOMMAND


def test_no_protocols_no_command() -> None:
    assert Bench(replace(CTAP_2_3, pin_protocols=())).status(PIN, {2: 1}) == S.INVALID_COMMAND


@pytest.mark.check("PIN-02", "PIN-10")
@pytest.mark.parametrize("make", ["set_request", "change_request", "token_request", "old"])
def test_needed_members(pinned: Platform, make: str) -> None:
    request = {
        "set_request": pinned.set_request(OTHER),
        "change_request": pinned.change_request(PIN_CODE, OTHER),
        "token_request": pinned.token_request(PIN_CODE, 1),
        "old": pinned.old_token_request(PIN_CODE),
    }[make]
    for member in request:
        assert pinned.bench.status(PIN, patched(request, {member: MISSING})) == (
            S.MISSING_PARAMETER
        )
    assert pinned.retries() == 8


@pytest.mark.check("PIN-04")
def test_key_agreement(fresh: Platform) -> None:
    def key() -> Any:
        return fresh.bench.ok(PIN, {1: fresh.version, 2: 2})[1]

    first = key()
    assert (first[1], first[3], first[-1]) == (2, -25, 1)
    assert set(first) == {1, 3, -1, -2, -3}
    assert len(first[-2]) == len(first[-3]) == 32
    assert key() == first
    fresh.set_pin(PIN_CODE)
    assert key() == first
    fresh.try_pin(WRONG)
    second = key()
    assert second != first
    fresh.bench.authenticator.power_cycle()
    assert key() not in (first, second)


@pytest.mark.check("PIN-05")
def test_retries(fresh: Platform) -> None:
    bench = fresh.bench
    assert bench.ok(PIN, {2: 1}) == {3: 8}
    fresh.set_pin(PIN_CODE)
    for left in (7, 6):
        fresh.try_pin(WRONG)
        assert bench.ok(PIN, {2: 1}) == {3: left}
    fresh.try_pin(WRONG)
    assert bench.ok(PIN, {2: 1}) == {3: 5, 4: True}
    bench.authenticator.power_cycle()
    assert bench.ok(PIN, {2: 1}) == {3: 5}


BAD_KEYS = [
    case("PIN-06", {-3: bytes(32)}, S.INVALID_PARAMETER),
    case("PIN-06", {-2: b"\xff" * 32}, S.INVALID_PARAMETER),
    case("PIN-06", {-2: bytes(31)}, S.INVALID_PARAMETER),
    case("PIN-06", {-3: bytes(33)}, S.INVALID_PARAMETER),
    case("PIN-06", {-2: b""}, S.INVALID_PARAMETER),
    case("PIN-06", {1: 1}, S.INVALID_PARAMETER),
    case("PIN-06", {-1: 2}, S.INVALID_PARAMETER),
    case("PIN-06", {3: -8}, S.INVALID_PARAMETER),
    *[case("PIN-06", {label: MISSING}, S.MISSING_PARAMETER) for label in (1, -1, -2, -3)],
    *[case("PIN-06", {label: "x"}, S.CBOR_UNEXPECTED_TYPE) for label in (1, 3, -1, -2, -3)],
]


@pytest.mark.parametrize(("patch", "status"), BAD_KEYS)
def test_platform_keys(fresh: Platform, patch: Any, status: S) -> None:
    request = fresh.set_request(PIN_CODE) | {3: patched(fresh.key, patch)}
    assert fresh.bench.status(PIN, request) == status
    assert fresh.bench.info()[4]["clientPin"] is False


@pytest.mark.check("PIN-06")
@pytest.mark.parametrize("alg", [-25, -7])
def test_accepted_algorithms(fresh: Platform, alg: int) -> None:
    fresh.bench.ok(PIN, fresh.set_request(PIN_CODE) | {3: fresh.key | {3: alg}})


@pytest.mark.check("PIN-09", "PIN-07", "PIN-08")
def test_set_pin(fresh: Platform) -> None:
    fresh.set_pin(PIN_CODE)
    assert fresh.bench.info()[4]["clientPin"] is True
    assert fresh.retries() == 8
    assert fresh.bench.state.pin_hash == hashlib.sha256(PIN_CODE.encode()).digest()[:16]
    assert fresh.bench.state.pin_length == len(PIN_CODE)


@pytest.mark.check("PIN-10")
def test_set_pin_refused(fresh: Platform) -> None:
    request = fresh.set_request(PIN_CODE)
    for bad in (bytes(len(request[4])), request[4][:-1], request[4] + b"\0", b""):
        assert fresh.bench.status(PIN, request | {4: bad}) == S.PIN_AUTH_INVALID
    fresh.set_pin(PIN_CODE)
    assert fresh.bench.status(PIN, fresh.set_request(OTHER)) == S.PIN_AUTH_INVALID
    assert fresh.try_pin(PIN_CODE) == 0


BAD_PINS = [
    case("PIN-11", "123"),
    case("PIN-11", "ééé"),
    case("PIN-11", "\N{KEY}" * 3),
    case("PIN-11", ""),
    case("PIN-12", "x" * 64),
    case("PIN-12", "é" * 32),
    case("PIN-12", b"1234" + bytes(76)),
    case("PIN-12", "x" * 80),
    case("PIN-14", b"\xff\xfe\xfd\xfc"),
]


@pytest.mark.parametrize("pin", BAD_PINS)
def test_pins_against_the_policy(fresh: Platform, pin: str | bytes) -> None:
    assert fresh.bench.status(PIN, fresh.set_request(pin)) == S.PIN_POLICY_VIOLATION
    fresh.set_pin(PIN_CODE)
    assert fresh.bench.status(PIN, fresh.change_request(PIN_CODE, pin)) == S.PIN_POLICY_VIOLATION
    assert fresh.retries() == 8
    assert fresh.try_pin(PIN_CODE) == 0


@pytest.mark.check("PIN-12")
@pytest.mark.parametrize("size", [0, 16, 48])
def test_short_padded_form(fresh: Platform, size: int) -> None:
    plain = b"1234".ljust(size, b"\0")[:size]
    sealed = fresh.seal(plain)
    request = {**fresh.set_request(PIN_CODE), 5: sealed, 4: fresh.mac(fresh.mac_key, sealed)}
    assert fresh.bench.status(PIN, request) == S.PIN_POLICY_VIOLATION


@pytest.mark.check("PIN-13")
@pytest.mark.parametrize("pin", ["1234", "12345", "x" * 63, "é" * 31, "\N{KEY}" * 4])
def test_pins_within_the_policy(fresh: Platform, pin: str) -> None:
    fresh.set_pin(pin)
    assert fresh.try_pin(pin) == 0


@pytest.mark.check("PIN-13", "PIN-11", "GI-07")
def test_other_limits() -> None:
    platform = Platform(Bench(replace(CTAP_2_3, min_pin_length=6, max_pin_length=8)))
    info = platform.bench.info()
    assert (info[0x0D], info[0x1D]) == (6, 8)
    for pin in ("12345", "123456789"):
        assert platform.bench.status(PIN, platform.set_request(pin)) == S.PIN_POLICY_VIOLATION
    platform.set_pin("12345678")


@pytest.mark.check("PIN-15")
def test_zeros_are_stripped_at_the_end_alone(fresh: Platform) -> None:
    fresh.bench.ok(PIN, fresh.set_request(b"12\x0034"))
    assert fresh.try_pin("12\x0034") == 0
    assert fresh.try_pin("12") == S.PIN_INVALID


@pytest.mark.check("PIN-16", "TOK-10")
def test_change_pin(pinned: Platform) -> None:
    bench = pinned.bench
    token = pinned.token(PIN_CODE, 1)
    bench.authenticator.token.save(force_pin_change=True)
    pinned.try_pin(WRONG)
    bench.ok(PIN, pinned.change_request(PIN_CODE, OTHER))
    assert bench.info()[0x0C] is False
    assert pinned.retries() == 8
    assert bench.status(1, make_request(pinned.make_auth(token))) == S.PIN_AUTH_INVALID
    assert pinned.try_pin(PIN_CODE) == S.PIN_INVALID
    assert pinned.try_pin(OTHER) == 0


@pytest.mark.check("PIN-17")
def test_change_pin_refused(fresh: Platform) -> None:
    bench = fresh.bench
    assert fresh.status(fresh.change_request(PIN_CODE, OTHER)) == S.PIN_NOT_SET
    fresh.set_pin(PIN_CODE)
    request = fresh.change_request(PIN_CODE, OTHER)
    without_hash = {4: fresh.mac(fresh.mac_key, request[5])}
    assert fresh.status(request | without_hash) == S.PIN_AUTH_INVALID
    assert fresh.retries() == 8
    statuses = [fresh.status(fresh.change_request(WRONG, OTHER)) for _ in range(3)]
    assert statuses == [S.PIN_INVALID, S.PIN_INVALID, S.PIN_AUTH_BLOCKED]
    assert fresh.status(fresh.change_request(PIN_CODE, OTHER)) == S.PIN_AUTH_BLOCKED
    bench.authenticator.token.save(pin_retries=0)
    assert fresh.status(fresh.change_request(PIN_CODE, OTHER)) == S.PIN_BLOCKED


@pytest.mark.check("PIN-18")
def test_the_same_pin_again(pinned: Platform) -> None:
    bench = pinned.bench
    bench.ok(PIN, pinned.change_request(PIN_CODE, PIN_CODE))
    bench.authenticator.token.save(force_pin_change=True)
    same = pinned.change_request(PIN_CODE, PIN_CODE)
    assert bench.status(PIN, same) == S.PIN_POLICY_VIOLATION
    assert bench.info()[0x0C] is True
    bench.ok(PIN, pinned.change_request(PIN_CODE, OTHER))


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
        ({"noMcGaPermissionsWithClientPin": True}, 0x01),
        ({"noMcGaPermissionsWithClientPin": True}, 0x02),
    ],
)
def test_permissions_of_lesser_models(options: dict[str, bool | None], permission: int) -> None:
    platform = Platform(Bench(CTAP_2_3.with_options(**options)))
    platform.set_pin(PIN_CODE)
    request = platform.token_request(PIN_CODE, permission)
    assert platform.bench.status(PIN, request) == S.UNAUTHORIZED_PERMISSION


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
        (Outcome.REFUSED, S.OPERATION_DENIED, 7),
        (Outcome.CANCELLED, S.KEEPALIVE_CANCEL, 7),
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
