"""What the text leaves open, or versions of it decide differently, is a choice of the profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    GA,
    MC,
    PIN,
    RESET,
    Bench,
    Platform,
    S,
    case,
    encode,
    get_request,
    make_request,
)
from tests.virtual.core.manager import PIN_CODE, Manager, make

from fidokit.virtual.core.context import NFC
from fidokit.virtual.core.ports import Outcome
from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3, Profile

CONFIG = 0x0D


def model(base: Profile = CTAP_2_3, **behavior: Any) -> Profile:
    return replace(base, behavior=replace(base.behavior, **behavior))


# --- the pinToken of 2.0 -------------------------------------------------------------------------


def pin_token(platform: Platform) -> bytes:
    platform.agree()
    return platform.open(platform.bench.ok(PIN, platform.old_token_request(PIN_CODE))[2])


@pytest.mark.check("PIN-19", "TOK-07")
def test_2_0_gives_one_pin_token_again_for_as_long_as_it_has_power() -> None:
    platform = Platform(Bench("ctap2.0"), 1)
    platform.set_pin(PIN_CODE)
    first, second = pin_token(platform), pin_token(platform)
    assert first == second
    assert platform.bench.status(MC, make_request(platform.make_auth(first))) == S.OK
    platform.bench.power_up()
    assert pin_token(platform) != first
    platform.bench.ok(RESET)
    platform.agree()
    platform.set_pin(PIN_CODE)
    assert pin_token(platform) not in {first, second}


@pytest.mark.check("TOK-07")
@pytest.mark.parametrize("name", ["ctap2.1", "ctap2.3"])
def test_later_ones_give_another_each_time(name: str) -> None:
    platform = Platform(Bench(name), 1)
    platform.set_pin(PIN_CODE)
    assert pin_token(platform) != pin_token(platform)


# --- statuses ------------------------------------------------------------------------------------


@pytest.mark.check("CFG-01")
@pytest.mark.parametrize(
    ("profile", "status"),
    [(CTAP_2_1, S.INVALID_PARAMETER), (CTAP_2_3, S.INVALID_SUBCOMMAND)],
)
@pytest.mark.parametrize("subcommand", [0, 1, 5, 0x7F, 0xFF])
def test_a_setting_that_is_not_there(profile: Profile, status: S, subcommand: int) -> None:
    assert Bench(profile).status(CONFIG, {1: subcommand}) == status


@pytest.mark.check("MC-16", "GA-05")
@pytest.mark.parametrize("value", [1, "yes", b"", None, [], {}])
def test_an_unknown_option_of_whatever_type(value: object) -> None:
    tolerant, strict = Bench(), Bench(model(odd_unknown_option=S.CBOR_UNEXPECTED_TYPE))
    for bench, status in ((tolerant, S.OK), (strict, S.CBOR_UNEXPECTED_TYPE)):
        made = bench.make()
        allowed = [{"id": made.id, "type": "public-key"}]
        assert bench.status(MC, make_request({7: {"later": value}})) == status
        assert bench.status(GA, get_request({3: allowed, 5: {"later": value}})) == status
        assert bench.status(MC, make_request({7: {"rk": value}})) == S.CBOR_UNEXPECTED_TYPE


LACKING = [
    case("MC-05", MC, make_request({2: {"name": "x"}})),
    case("MC-05", MC, make_request({3: {"name": "x"}})),
    case("MC-07", MC, make_request({4: [{"alg": -7}]})),
    case("MC-07", MC, make_request({4: [{"type": "public-key"}]})),
    case("MC-11", MC, make_request({5: [{"id": b"x"}]})),
    case("GA-03", GA, get_request({3: [{"type": "public-key"}]})),
]


@pytest.mark.parametrize(("command", "request_"), LACKING)
@pytest.mark.parametrize("status", [S.MISSING_PARAMETER, S.INVALID_CBOR, S.CBOR_UNEXPECTED_TYPE])
def test_a_map_inside_that_lacks_a_member(command: int, request_: Any, status: S) -> None:
    bench = Bench(model(lacking_inner_member=status))
    assert bench.status(command, request_) == status
    without = {number: value for number, value in request_.items() if number != 2}
    assert bench.status(command, without) == S.MISSING_PARAMETER


@pytest.mark.parametrize(("command", "request_"), LACKING)
@pytest.mark.parametrize(
    ("generation", "status"),
    [
        ("ctap2.0", S.MISSING_PARAMETER),
        ("ctap2.1", S.CBOR_UNEXPECTED_TYPE),
        ("ctap2.3", S.CBOR_UNEXPECTED_TYPE),
    ],
)
def test_what_section_8_wants_of_it_since_2_1(
    command: int, request_: Any, generation: str, status: S
) -> None:
    assert Bench(generation).status(command, request_) == status


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.check("CBR-06")
@pytest.mark.parametrize("where", [77, 6])
def test_depth_in_what_is_ignored(where: int) -> None:
    """The request itself is the first level, and `extensions` the second."""
    inside = 1 if where == 6 else 0
    strict, deep = Bench(), Bench(model(nesting=8))
    for levels in range(1, 10):
        value = nested(levels - inside)
        request = make_request({where: {"unknown": value} if inside else value})
        assert strict.status(MC, request) == (S.OK if levels < 4 else S.INVALID_CBOR)
        assert deep.status(MC, request) == (S.OK if levels < 8 else S.INVALID_CBOR)


# --- extensions ----------------------------------------------------------------------------------


@pytest.mark.check("CBL-01")
def test_cred_blob_without_rk() -> None:
    for told in (True, False):
        made = Bench(model(blob_for_wrapped=told)).make({6: {"credBlob": b"x"}})
        assert made.data.extensions == ({"credBlob": False} if told else None)


@pytest.mark.check("MPL-01")
def test_min_pin_length_false() -> None:
    request = make_request({6: {"minPinLength": False}})
    assert Bench().status(MC, request) == S.OK
    strict = Bench(model(false_min_pin_length=S.INVALID_OPTION))
    assert strict.status(MC, request) == S.INVALID_OPTION
    assert strict.status(MC, make_request({6: {"minPinLength": True}})) == S.OK


# --- listings ------------------------------------------------------------------------------------


def listed(*, interleave: bool) -> Manager:
    platform = Platform(Bench(model(listings_interleave=interleave)))
    platform.set_pin(PIN_CODE)
    for rp in ("ssh:a", "ssh:b", "ssh:c"):
        for user in (b"ada", b"bob"):
            make(platform, rp, user)
    return Manager(platform)


@pytest.mark.check("CM-09")
def test_listings_that_interleave() -> None:
    manager = listed(interleave=True)
    party, seen = manager.ok(2), []
    while True:
        first = manager.ok(4, {1: party[4]})
        assert first[9] == 2
        manager.next(5)
        assert manager.next_status(5) == S.NOT_ALLOWED
        seen.append(party[3]["id"])
        if len(seen) == 3:
            break
        party = manager.next(3)
    assert sorted(seen) == ["ssh:a", "ssh:b", "ssh:c"]
    assert manager.next_status(3) == S.NOT_ALLOWED


@pytest.mark.check("CM-09")
def test_listings_that_do_not() -> None:
    manager = listed(interleave=False)
    party = manager.ok(2)
    manager.ok(4, {1: party[4]})
    assert manager.next_status(3) == S.NOT_ALLOWED


@pytest.mark.check("CM-09")
def test_a_list_that_was_laid_aside_ends_with_another_command() -> None:
    manager = listed(interleave=True)
    manager.ok(4, {1: manager.ok(2)[4]})
    manager.bench.make()
    assert manager.next_status(3) == S.NOT_ALLOWED
    assert manager.next_status(5) == S.NOT_ALLOWED


# --- built-in verification beside a PIN ----------------------------------------------------------


@pytest.mark.check("MC-27")
@pytest.mark.parametrize("command", [MC, GA])
def test_failed_verification_asks_for_the_pin_where_one_would_do(command: int) -> None:
    platform = Platform(Bench(uv=True))
    platform.set_pin(PIN_CODE)
    bench = platform.bench
    bench.make({7: {"uv": True, "rk": True}})
    request = make_request(uv=True) if command == MC else get_request(uv=True)
    for outcome in (Outcome.UV_MISMATCHED, Outcome.REFUSED):
        bench.person.will(outcome)
        assert bench.status(command, request) == S.PUAT_REQUIRED
    bench.person.will(Outcome.TIMED_OUT)
    assert bench.status(command, request) == S.USER_ACTION_TIMEOUT
    while bench.state.uv_retries:
        bench.person.will(Outcome.UV_MISMATCHED)
        assert bench.status(command, request) == S.PUAT_REQUIRED
    assert bench.status(command, request) == S.PUAT_REQUIRED


@pytest.mark.check("MC-27")
def test_and_not_where_a_pin_would_not_do() -> None:
    shut = CTAP_2_3.with_options(noMcGaPermissionsWithClientPin=True)
    platform = Platform(Bench(shut, uv=True))
    platform.set_pin(PIN_CODE)
    platform.bench.person.will(Outcome.UV_MISMATCHED)
    assert platform.bench.status(MC, make_request(uv=True)) == S.OPERATION_DENIED


# --- on a reader ---------------------------------------------------------------------------------


@pytest.mark.check("GI-02", "GI-05")
@pytest.mark.parametrize(
    ("own", "on_reader"),
    [(("usb",), ["nfc"]), (("usb", "nfc"), ["usb", "nfc"]), ((), None)],
)
def test_transports_on_a_card_reader(own: tuple[str, ...], on_reader: list[str] | None) -> None:
    bench = Bench(replace(CTAP_2_3, transports=own))
    assert bench.info().get(9) == (list(own) or None)
    from fido2 import cbor

    answer = bench.authenticator.begin(b"\x04", 0, NFC)
    assert isinstance(answer, bytes)
    info: Any = cbor.decode(answer[1:])
    assert info.get(9) == on_reader
    assert encode(info) == answer[1:]
