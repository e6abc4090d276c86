"""Checks CFG-01 to CFG-11, at the level of bytes, and python-fido2's own client as a judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fido2 import cbor
from fido2.ctap import CtapError
from fido2.ctap2 import ClientPin, Config, Ctap2
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from tests.virtual.core.client import (
    MC,
    MISSING,
    PIN,
    RESET,
    Bench,
    Platform,
    S,
    case,
    make_request,
    patched,
)
from tests.virtual.fido2_device import LinkDevice

from fidokit.virtual.core.profile import CTAP_2_3, CTAP_2_3_ENTERPRISE
from fidokit.virtual.token import VirtualToken

CONFIG = 0x0D
PIN_CODE = "motörhead"
ACFG = 0x20
ENTERPRISE, TOGGLE, SET_MIN, LONG_TOUCH, VENDOR = 1, 2, 3, 4, 0xFF

WITH_LIST = replace(CTAP_2_3, extensions=(*CTAP_2_3.extensions, "minPinLength"))


def request(
    platform: Platform, sub: int, params: Any = None, *, token: bytes | None = None
) -> dict[int, Any]:
    """With a fresh token of permission acfg."""
    message = b"\xff" * 32 + b"\x0d" + bytes([sub])
    message += b"" if params is None else cbor.encode(params)
    token = token or platform.token(PIN_CODE, ACFG)
    made = {1: sub, 3: platform.version, 4: platform.mac(token, message)}
    return made if params is None else made | {2: params}


def status(platform: Platform, sub: int, params: Any = None) -> int:
    return platform.bench.status(CONFIG, request(platform, sub, params))


def bare(bench: Bench, sub: int, params: Any = None) -> int:
    """Without any authorization."""
    return bench.status(CONFIG, {1: sub} if params is None else {1: sub, 2: params})


# --- the form and the authorization --------------------------------------------------------------


@pytest.mark.check("CFG-01")
@pytest.mark.parametrize("sub", [0, 1, 5, 0xFF, 2**40])
def test_subcommands_that_are_not_there(bench: Bench, sub: int) -> None:
    assert bare(bench, sub) == S.INVALID_SUBCOMMAND


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        case("CFG-01", {1: MISSING}, S.MISSING_PARAMETER),
        case("CFG-02", {4: MISSING}, S.PUAT_REQUIRED),
        case("CFG-02", {3: MISSING}, S.MISSING_PARAMETER),
        case("CFG-02", {3: 3}, S.INVALID_PARAMETER),
        case("CFG-02", {4: bytes(32)}, S.PIN_AUTH_INVALID),
        case("CFG-02 TOK-09", {4: b""}, S.PIN_AUTH_INVALID),
        case("CFG-02 TOK-11", {2: {1: 9}}, S.PIN_AUTH_INVALID),
        case("CFG-02 TOK-11", {2: MISSING}, S.PIN_AUTH_INVALID),
        case("CBR-07", {1: "3"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {2: [8]}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {4: "x"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-08", {9: 1}, S.OK),
    ],
)
def test_faults_of_a_request(pinned: Platform, patch: dict[int, Any], expected: int) -> None:
    good = request(pinned, SET_MIN, {1: 8})
    assert pinned.bench.status(CONFIG, patched(good, patch)) == expected
    assert pinned.bench.info()[0x0D] == (4 if expected else 8)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        case("CFG-09", None, S.OK),
        case("CFG-09", {}, S.OK),
        case("CBR-07", {1: "8"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {1: -8}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {2: "ssh:"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {2: [b"ssh:"]}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {3: 1}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {4: 1}, S.CBOR_UNEXPECTED_TYPE),
        case("CFG-08", {4: False}, S.OK),
    ],
)
def test_faults_of_inner_parameters(pinned: Platform, params: Any, expected: int) -> None:
    before = pinned.bench.state
    assert status(pinned, SET_MIN, params) == expected
    assert pinned.bench.state == before


@pytest.mark.check("TOK-08")
@pytest.mark.parametrize("permissions", [1, 2, 3, 4])
def test_other_permissions_do_not_do(pinned: Platform, permissions: int) -> None:
    token = pinned.token(PIN_CODE, permissions)
    made = request(pinned, TOGGLE, token=token)
    assert pinned.bench.status(CONFIG, made) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-08")
def test_a_token_of_getpintoken_does_not_do(pinned: Platform) -> None:
    sealed = pinned.bench.ok(PIN, pinned.old_token_request(PIN_CODE))[2]
    made = request(pinned, TOGGLE, token=pinned.open(sealed))
    assert pinned.bench.status(CONFIG, made) == S.PIN_AUTH_INVALID


@pytest.mark.check("CFG-03")
def test_an_unprotected_token_is_configured_by_anybody(bench: Bench) -> None:
    assert bare(bench, SET_MIN, {1: 6}) == S.OK
    assert bench.info()[0x0D] == 6
    assert bare(bench, TOGGLE) == S.OK


@pytest.mark.check("CFG-02")
@pytest.mark.parametrize("sub", [TOGGLE, SET_MIN])
def test_built_in_verification_protects_too(sensed: Platform, sub: int) -> None:
    assert bare(sensed.bench, sub, {1: 6}) == S.PUAT_REQUIRED


@pytest.mark.check("CFG-02", "CFG-03")
def test_always_uv_protects_all_but_itself(bench: Bench) -> None:
    assert bare(bench, TOGGLE) == S.OK
    assert bare(bench, SET_MIN, {1: 6}) == S.PUAT_REQUIRED
    assert bare(bench, TOGGLE) == S.OK
    assert bare(bench, SET_MIN, {1: 6}) == S.OK


@pytest.mark.check("CFG-01")
@pytest.mark.parametrize(("option", "sub"), [("alwaysUv", TOGGLE), ("setMinPINLength", SET_MIN)])
def test_a_model_without_the_feature(option: str, sub: int) -> None:
    bench = Bench(CTAP_2_3.with_options(**{option: None}))
    assert bare(bench, sub, {}) == S.INVALID_SUBCOMMAND
    assert sub not in bench.info()[0x1F]


def test_a_model_without_the_command() -> None:
    bench = Bench(CTAP_2_3.with_options(authnrCfg=None))
    assert bare(bench, TOGGLE) == S.INVALID_COMMAND


# --- enterprise attestation, long touch, vendors' own --------------------------------------------


@pytest.mark.check("CFG-04")
def test_enabling_enterprise_attestation_again_and_again() -> None:
    bench = Bench("ctap2.3-enterprise")
    shown = []
    for _ in range(3):
        shown.append(bench.info()[4]["ep"])
        assert bare(bench, ENTERPRISE) == S.OK
    assert shown == [False, True, True]
    bench.power_up()
    assert bench.info()[4]["ep"] is True
    bench.ok(RESET)
    assert bench.info()[4]["ep"] is False


@pytest.mark.check("CFG-04")
def test_a_consumers_token_has_no_enterprise_attestation(bench: Bench) -> None:
    assert bare(bench, ENTERPRISE) == S.INVALID_SUBCOMMAND
    assert ENTERPRISE not in bench.info()[0x1F]


@pytest.mark.check("CFG-02", "CFG-04", "CFG-10")
@pytest.mark.parametrize("sub", [ENTERPRISE, LONG_TOUCH, VENDOR])
def test_owners_settings_are_authorized(sub: int) -> None:
    platform = Platform(Bench(replace(CTAP_2_3_ENTERPRISE, vendor_config_commands=(7,))))
    platform.set_pin(PIN_CODE)
    before = platform.bench.state
    assert bare(platform.bench, sub, {1: 7}) == S.PUAT_REQUIRED
    assert platform.bench.state == before


@pytest.mark.check("CFG-10", "CFG-11", "GI-10")
def test_enabling_the_long_touch(pinned: Platform) -> None:
    bench = pinned.bench
    shown = []
    for _ in range(3):
        shown.append(bench.info()[0x18])
        assert status(pinned, LONG_TOUCH) == S.OK
    assert shown == [False, True, True]
    bench.power_up()
    assert bench.info()[0x18] is True
    bench.ok(RESET)
    assert bench.info()[0x18] is False


@pytest.mark.check("CFG-10", "GI-10")
def test_a_model_without_the_long_touch() -> None:
    bench = Bench(replace(CTAP_2_3, long_touch_for_reset=None))
    assert bare(bench, LONG_TOUCH) == S.INVALID_SUBCOMMAND
    assert LONG_TOUCH not in bench.info()[0x1F]
    assert 0x18 not in bench.info()


@pytest.mark.check("CFG-10", "GI-10")
def test_a_model_that_lists_fewer_than_its_features_offer() -> None:
    bench = Bench(replace(CTAP_2_3, config_commands=(3, 2, 0x77)))
    assert bare(bench, LONG_TOUCH) == S.INVALID_SUBCOMMAND
    assert bare(bench, 0x77) == S.INVALID_SUBCOMMAND
    assert bench.info()[0x1F] == [2, 3]
    assert bench.info()[0x18] is False


@pytest.mark.check("CFG-10", "CFG-11")
def test_a_long_touch_from_the_factory_is_back_after_a_reset() -> None:
    bench = Bench(replace(CTAP_2_3, long_touch_for_reset=True))
    bench.ok(RESET)
    assert bench.info()[0x18] is True


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        case("CFG-10", {1: 8}, S.INVALID_PARAMETER),
        case("CFG-10", {1: 7}, S.OPERATION_DENIED),
        case("CFG-10", {}, S.MISSING_PARAMETER),
        case("CFG-10", None, S.MISSING_PARAMETER),
        case("CBR-07", {1: "7"}, S.CBOR_UNEXPECTED_TYPE),
    ],
)
def test_vendors_own(params: Any, expected: int) -> None:
    bench = Bench(replace(CTAP_2_3, vendor_config_commands=(7, 9)))
    info = bench.info()
    assert info[0x15] == [7, 9]
    assert info[0x1F] == [2, 3, 4, 0xFF]
    assert bare(bench, VENDOR, params) == expected


@pytest.mark.check("CFG-08", "GI-11")
def test_the_complexity_policy(pinned: Platform) -> None:
    bench = pinned.bench
    assert bench.info()[0x1B] is False
    for params in ({4: False}, {4: True}, {4: False}, {}):
        assert status(pinned, SET_MIN, params) == S.OK
    assert bench.info()[0x1B] is True
    bench.power_up()
    assert bench.info()[0x1B] is True
    bench.ok(RESET)
    assert bench.info()[0x1B] is False


@pytest.mark.check("CFG-08")
def test_a_model_without_such_a_policy() -> None:
    bench = Bench(replace(CTAP_2_3, pin_complexity=None))
    assert bare(bench, SET_MIN, {1: 9, 4: True}) == S.INVALID_PARAMETER
    assert bench.info()[0x0D] == 4


# --- alwaysUv ------------------------------------------------------------------------------------


@pytest.mark.check("CFG-05", "GI-14")
def test_toggling_always_uv(pinned: Platform) -> None:
    shown = []
    for _ in range(3):
        options = pinned.bench.info()[4]
        shown.append((options["alwaysUv"], options["makeCredUvNotRqd"]))
        assert status(pinned, TOGGLE) == S.OK
    assert shown == [(False, True), (True, False), (False, True)]


@pytest.mark.check("CFG-05")
def test_a_model_that_never_lets_go_of_always_uv() -> None:
    fixed = replace(CTAP_2_3, behavior=replace(CTAP_2_3.behavior, always_uv_fixed=True))
    bench = Bench(fixed)
    assert bare(bench, TOGGLE) == S.OK
    assert bare(bench, TOGGLE) == S.OPERATION_DENIED
    assert bench.info()[4]["alwaysUv"] is True


@pytest.mark.check("CFG-05", "MC-26")
def test_always_uv_is_enforced_at_once(pinned: Platform) -> None:
    assert pinned.bench.status(MC, make_request()) == S.OK
    status(pinned, TOGGLE)
    assert pinned.bench.status(MC, make_request()) == S.PUAT_REQUIRED


# --- the minimum PIN length ----------------------------------------------------------------------


@pytest.mark.check("CFG-06")
def test_the_minimum_rises_and_never_falls(pinned: Platform) -> None:
    expected = [(4, S.OK), (8, S.OK), (8, S.OK), (7, S.PIN_POLICY_VIOLATION)]
    for length, outcome in [*expected, (0, S.PIN_POLICY_VIOLATION)]:
        assert status(pinned, SET_MIN, {1: length}) == outcome
    assert pinned.bench.info()[0x0D] == 8
    assert pinned.bench.info()[0x0C] is False


@pytest.mark.check("CFG-06")
@pytest.mark.parametrize(
    ("length", "expected"), [(63, S.OK), (64, S.PIN_POLICY_VIOLATION), (2**60, 0x37)]
)
def test_the_minimum_has_a_maximum(bench: Bench, length: int, expected: int) -> None:
    assert bare(bench, SET_MIN, {1: length}) == expected


@pytest.mark.check("CFG-06")
@pytest.mark.parametrize(("length", "forced"), [(len(PIN_CODE), False), (len(PIN_CODE) + 1, True)])
def test_a_pin_that_is_now_too_short_must_be_changed(
    pinned: Platform, length: int, forced: bool
) -> None:
    assert status(pinned, SET_MIN, {1: length}) == S.OK
    assert pinned.bench.info()[0x0C] is forced


@pytest.mark.check("CFG-08", "PIN-16", "PIN-20")
def test_forcing_a_change(pinned: Platform) -> None:
    assert status(pinned, SET_MIN, {3: True}) == S.OK
    assert pinned.bench.info()[0x0C] is True
    assert pinned.try_pin(PIN_CODE) == S.PIN_POLICY_VIOLATION
    assert pinned.status(pinned.change_request(PIN_CODE, "another")) == S.OK
    assert pinned.bench.info()[0x0C] is False
    assert pinned.try_pin("another") == S.OK


@pytest.mark.check("CFG-08")
@pytest.mark.parametrize("params", [{3: False}, {}])
def test_not_forcing_takes_nothing_back(pinned: Platform, params: dict[int, bool]) -> None:
    token = pinned.token(PIN_CODE, ACFG)
    pinned.bench.authenticator.token.save(force_pin_change=True)
    made = request(pinned, SET_MIN, params, token=token)
    assert pinned.bench.status(CONFIG, made) == S.OK
    assert pinned.bench.info()[0x0C] is True


@pytest.mark.check("CFG-08", "TOK-10")
@pytest.mark.parametrize("params", [{3: True}, {1: len(PIN_CODE) + 1}])
def test_forcing_a_change_ends_the_token(pinned: Platform, params: dict[int, object]) -> None:
    token = pinned.token(PIN_CODE, ACFG)
    toggle = request(pinned, TOGGLE, token=token)
    assert pinned.bench.status(CONFIG, toggle) == S.OK
    assert pinned.bench.status(CONFIG, request(pinned, SET_MIN, params, token=token)) == S.OK
    assert pinned.bench.status(CONFIG, toggle) == S.PIN_AUTH_INVALID


@pytest.mark.check("CFG-08")
def test_forcing_without_a_pin_changes_nothing(bench: Bench) -> None:
    before = bench.state
    assert bare(bench, SET_MIN, {1: 9, 3: True}) == S.PIN_NOT_SET
    assert bench.state == before


@pytest.mark.check("CFG-07")
def test_the_list_needs_its_extension(bench: Bench) -> None:
    without = replace(
        CTAP_2_3, extensions=tuple(x for x in CTAP_2_3.extensions if x != "minPinLength")
    )
    assert bare(Bench(without), SET_MIN, {2: ["ssh:"]}) == S.INVALID_PARAMETER


@pytest.mark.check("CFG-07")
def test_the_list_is_replaced_and_bounded() -> None:
    bench = Bench(WITH_LIST)
    most = WITH_LIST.max_min_pin_rp_ids
    full = [f"ssh:{n}" for n in range(most)]
    assert bare(bench, SET_MIN, {2: full}) == S.OK
    assert bench.state.min_pin_rp_ids == tuple(full)
    assert bare(bench, SET_MIN, {1: 9, 2: [*full, "one more"]}) == S.KEY_STORE_FULL
    assert bench.state.min_pin_rp_ids == tuple(full)
    assert bench.state.min_pin_length == 4
    assert bare(bench, SET_MIN, {1: 5}) == S.OK
    assert bench.state.min_pin_rp_ids == tuple(full)
    assert bare(bench, SET_MIN, {2: ["x"]}) == S.OK
    assert bench.state.min_pin_rp_ids == ("x",)
    assert bare(bench, SET_MIN, {2: []}) == S.OK
    assert bench.state.min_pin_rp_ids == ("x",)


@pytest.mark.check("CFG-11")
def test_settings_survive_power_and_die_with_a_reset(pinned: Platform) -> None:
    assert status(pinned, SET_MIN, {1: 20, 3: True}) == S.OK
    bench = pinned.bench
    bench.power_up()
    info = bench.info()
    assert (info[0x0C], info[0x0D]) == (True, 20)
    bench.ok(RESET)
    info = bench.info()
    assert (info[0x0C], info[0x0D]) == (False, 4)


@pytest.mark.check("CFG-11")
def test_always_uv_dies_with_a_reset(bench: Bench) -> None:
    bare(bench, TOGGLE)
    bench.power_up()
    assert bench.info()[4]["alwaysUv"] is True
    bench.ok(RESET)
    assert bench.info()[4]["alwaysUv"] is False


# --- the judge -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [PinProtocolV1, PinProtocolV2])
def test_python_fido2_configures_the_token(protocol: type[Any]) -> None:
    with VirtualToken() as token:
        ctap = Ctap2(LinkDevice(token.link()))
        client = ClientPin(ctap, protocol())
        client.set_pin(PIN_CODE)
        permission = ClientPin.PERMISSION.AUTHENTICATOR_CFG
        config = Config(ctap, client.protocol, client.get_pin_token(PIN_CODE, permission))
        config.toggle_always_uv()
        assert ctap.get_info().options["alwaysUv"] is True
        config.set_min_pin_length(8)
        assert ctap.get_info().min_pin_length == 8
        with pytest.raises(CtapError) as caught:
            config.set_min_pin_length(5)
        assert caught.value.code == CtapError.ERR.PIN_POLICY_VIOLATION
        config.set_min_pin_length(force_change_pin=True)
        assert ctap.get_info().force_pin_change is True
        client.change_pin(PIN_CODE, "twelve chars")
        assert ctap.get_info().force_pin_change is False


def test_python_fido2_configures_a_token_without_a_pin() -> None:
    with VirtualToken() as token:
        ctap = Ctap2(LinkDevice(token.link()))
        Config(ctap).toggle_always_uv()
        assert ctap.get_info().options["alwaysUv"] is True
