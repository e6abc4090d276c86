"""clientPIN: form, key agreement, changes of the PIN (PIN-01 to PIN-18), under both protocols."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    MISSING,
    PIN,
    Bench,
    Platform,
    S,
    case,
    make_request,
    patched,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.profile import CTAP_2_3, Behavior

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
    *[case("PIN-06", {label: MISSING}, S.CBOR_UNEXPECTED_TYPE) for label in (1, 3, -1, -2, -3)],
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
@pytest.mark.parametrize("size", [16, 48])
def test_short_padded_form(fresh: Platform, size: int) -> None:
    plain = b"1234".ljust(size, b"\0")[:size]
    sealed = fresh.seal(plain)
    request = {**fresh.set_request(PIN_CODE), 5: sealed, 4: fresh.mac(fresh.mac_key, sealed)}
    assert fresh.bench.status(PIN, request) == S.INVALID_PARAMETER


@pytest.mark.check("PIN-12")
@pytest.mark.parametrize("size", [80, 96, 128, 256])
def test_long_padded_form(fresh: Platform, size: int) -> None:
    for content in (b"1234".ljust(size, b"\0"), b"x" * size):
        sealed = fresh.seal(content)
        request = {**fresh.set_request(PIN_CODE), 5: sealed, 4: fresh.mac(fresh.mac_key, sealed)}
        assert fresh.bench.status(PIN, request) == S.INVALID_PARAMETER


@pytest.mark.check("PIN-12")
@pytest.mark.parametrize("size", [0, 1, 15, 17, 63, 65])
def test_a_padded_form_that_cannot_be_decrypted(size: int) -> None:
    """What is not a whole number of blocks; under protocol 2 also what has no IV."""
    platform = Platform(Bench(), 2)
    odd = os.urandom(size)
    request = platform.set_request(PIN_CODE)
    request |= {5: odd, 4: platform.mac(platform.mac_key, odd)}
    assert platform.bench.status(PIN, request) == S.PIN_AUTH_INVALID
    platform.set_pin(PIN_CODE)
    change = platform.change_request(PIN_CODE, "9876")
    change |= {5: odd, 4: platform.mac(platform.mac_key, odd + change[6])}
    assert platform.bench.status(PIN, change) == S.PIN_AUTH_INVALID
    platform.agree()
    assert platform.retries() == 8


@pytest.mark.check("PIN-12")
def test_the_padded_form_of_2_0() -> None:
    platform = Platform(Bench("ctap2.0"), 1)
    sealed = platform.seal(bytes(48))
    request = {**platform.set_request("1234"), 5: sealed}
    request[4] = platform.mac(platform.mac_key, sealed)
    assert platform.bench.status(PIN, request) == S.PIN_POLICY_VIOLATION


@pytest.mark.check("PIN-05")
def test_retries_where_models_differ() -> None:
    old, new = Bench("ctap2.0"), Bench()
    assert old.status(PIN, {2: 1}) == S.MISSING_PARAMETER
    assert old.ok(PIN, {1: 1, 2: 1}) == {3: 8}
    assert new.ok(PIN, {2: 1}) == {3: 8}
    telling = Behavior(retries_without_pin=S.PIN_NOT_SET)
    platform = Platform(Bench(replace(CTAP_2_3, behavior=telling)))
    assert platform.bench.status(PIN, {2: 1}) == S.PIN_NOT_SET
    platform.set_pin(PIN_CODE)
    assert platform.retries() == 8


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
