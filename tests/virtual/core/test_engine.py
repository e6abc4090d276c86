"""The engine: bytes in, bytes out, waiting, and judging form (CBR-*, HID-15 and HID-20's core)."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.virtual.core.client import (
    GA,
    INFO,
    MC,
    PIN,
    RESET,
    SELECTION,
    Bench,
    Platform,
    S,
    case,
    encode,
    get_request,
    make_request,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.ports import NeedsPresence, Outcome, PresenceKind

FUZZ = int(os.environ.get("FIDOKIT_FUZZ", "150"))
"""Examples for each fuzz test; `make fuzz` raises it."""

GOOD = bytes([MC]) + encode(make_request())
KEY_1 = b"\x01\x58\x20" + bytes(32)


@pytest.mark.check("CBR-01")
def test_no_bytes_and_unknown_commands(bench: Bench) -> None:
    assert bench.authenticator.handle(b"") == bytes([S.INVALID_LENGTH])
    served = {MC, GA, INFO, PIN, RESET, 0x08, SELECTION, 0x09, 0x0A, 0x0C, 0x0D, 0x40, 0x41}
    for command in set(range(256)) - served:
        assert bench.authenticator.handle(bytes([command])) == bytes([S.INVALID_COMMAND])


FORM = [
    case("CBR-02", b"", S.INVALID_CBOR),
    case("CBR-02", encode([]), S.CBOR_UNEXPECTED_TYPE),
    case("CBR-02", encode(7), S.CBOR_UNEXPECTED_TYPE),
    case("CBR-02", encode(None), S.CBOR_UNEXPECTED_TYPE),
    case("CBR-03", encode(make_request()) + b"\0", S.INVALID_CBOR),
    case("CBR-04", b"\xa2" + KEY_1 + KEY_1, S.INVALID_CBOR),
    case("CBR-04", b"\xa2\x02\xa0" + KEY_1, S.INVALID_CBOR),
    case("CBR-04", b"\xa2\x20\x01\x18\x18\x01", S.INVALID_CBOR),
    case("CBR-04", b"\xa1\x02\xa2\x62id\x61x\x61a\x61y", S.INVALID_CBOR),
    case("CBR-04", b"\xa1\x02\xa2\x62id\x61x\x62id\x61x", S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x18\x01\x00", S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x01\x58\x01x", S.INVALID_CBOR),
    case("CBR-05", b"\xbf\x01\x00\xff", S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x01\x5f\x41x\xff", S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x01\xf9\x00\x00", S.CBOR_UNEXPECTED_TYPE),
    case("CBR-05", b"\xa1\x01\xfb" + bytes(8), S.CBOR_UNEXPECTED_TYPE),
    case("CBR-05", b"\xa1\x01\xfb" + bytes(7), S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x01\xf7", S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x01\xe0", S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x01\x62\xff\xfe", S.INVALID_CBOR),
    case("CBR-05", b"\xa1\x01\x3b\x80" + bytes(7), S.INVALID_CBOR),
    case("CBR-06", b"\xa1\x01\xc0\x60", S.INVALID_CBOR),
    case("CBR-06", b"\xa1\x18\x63\x81\x81\x81\x80", S.INVALID_CBOR),
    case("CBR-13", b"\xa2\x01\x60\x01\x60", S.INVALID_CBOR),
    case("CBR-13 CBR-07", b"\xa1\x01\x60", S.CBOR_UNEXPECTED_TYPE),
    case("CBR-13", encode(make_request({2: {}, 1: 7})), S.CBOR_UNEXPECTED_TYPE),
    case("CBR-13 CBR-09", encode(make_request({2: {}, 4: []})), S.CBOR_UNEXPECTED_TYPE),
]


@pytest.mark.parametrize(("body", "status"), FORM)
def test_form(bench: Bench, body: bytes, status: S) -> None:
    assert bench.authenticator.handle(bytes([MC]) + body) == bytes([status])
    assert bench.touches() == 0


@pytest.mark.check("CBR-05", "CBR-08")
@pytest.mark.parametrize("number", ["f93e00", "fa3fc00000", "fb3ff8000000000000"])
def test_a_number_with_a_fraction_where_nobody_looks(bench: Bench, number: str) -> None:
    """It is canonical in each of its widths (CTAP 2.3 section 8)."""
    request = bytes([MC]) + encode(make_request({99: 0}))[:-1] + bytes.fromhex(number)
    assert bench.raw(request).status == 0


@pytest.mark.check("CBR-06")
def test_four_levels_are_accepted(bench: Bench) -> None:
    assert bench.status(MC, make_request({99: [[[1]]]})) == 0
    assert bench.status(MC, make_request({99: [[[[]]]]})) == S.INVALID_CBOR


@pytest.mark.check("CBR-03")
@pytest.mark.parametrize("cut", range(1, len(GOOD)))
def test_cut_at_every_byte(bench: Bench, cut: int) -> None:
    assert bench.authenticator.handle(GOOD[:cut]) == bytes([S.INVALID_CBOR])


@pytest.mark.check("CBR-10")
@pytest.mark.parametrize("model", ["ctap2.0", "ctap2.1", "ctap2.3"])
def test_longest_request(model: str) -> None:
    bench = Bench(model)
    limit = bench.info()[5]
    empty = len(encode(make_request({99: bytes(256)}))) - 256
    for size, status in ((limit - 1 - empty, 0), (limit - empty, S.REQUEST_TOO_LARGE)):
        request = bytes([MC]) + encode(make_request({99: bytes(size)}))
        assert len(request) - limit == (1 if status else 0)
        assert bench.raw(request).status == status


@pytest.mark.check("CBR-11")
def test_replies_fit(bench: Bench) -> None:
    for model in ("ctap2.0", "ctap2.1"):
        small = Bench(model)
        reply = small.authenticator.handle(GOOD)
        assert reply[0] == 0
        assert len(reply) <= small.info()[5]
    assert bench.authenticator.handle(bytes([SELECTION])) == b"\0"


def test_begin_resume_and_cancel(bench: Bench) -> None:
    engine = bench.authenticator
    need = engine.begin(GOOD)
    assert need == NeedsPresence(PresenceKind.TOUCH, bench.clock.now + 30_000)
    assert engine.waiting
    assert engine.cancel() == bytes([S.KEEPALIVE_CANCEL])
    assert not engine.waiting
    assert engine.cancel() is None
    assert isinstance(engine.begin(GOOD), NeedsPresence)
    answer = engine.resume(Outcome.TOUCHED)
    assert isinstance(answer, bytes)
    assert answer[0] == 0


def test_one_command_at_a_time(bench: Bench) -> None:
    engine = bench.authenticator
    engine.begin(GOOD, channel=1)
    assert engine.begin(bytes([INFO]), channel=2) == bytes([S.CHANNEL_BUSY])
    assert engine.begin_msg(bytes(8), channel=2) == bytes([S.CHANNEL_BUSY])
    answer = engine.resume(Outcome.TOUCHED)
    assert isinstance(answer, bytes)
    assert answer[0] == 0


def test_nothing_to_resume(bench: Bench) -> None:
    assert bench.authenticator.resume(Outcome.TOUCHED) == bytes([S.OTHER])


def test_power_ends_what_waits(bench: Bench) -> None:
    engine = bench.authenticator
    engine.begin(GOOD)
    engine.power_cycle()
    assert not engine.waiting
    assert engine.cancel() is None


class Broken(Exception):
    """Stands for a store that cannot keep its promise."""


def test_a_store_that_fails_passes_through(bench: Bench, monkeypatch: Any) -> None:
    def fail() -> int:
        raise Broken

    monkeypatch.setattr(bench.store, "next_counter", fail)
    with pytest.raises(Broken):
        bench.authenticator.handle(GOOD)
    assert not bench.authenticator.waiting
    monkeypatch.undo()
    assert bench.status(MC, make_request()) == 0


VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.binary(max_size=40),
        st.text(max_size=12),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.integers(-8, 12), st.text(max_size=4)), inner, max_size=4),
    ),
    max_leaves=8,
)
COMMANDS = st.sampled_from([MC, GA, INFO, PIN, RESET, 0x08, SELECTION, 0x0A, 0x0D, 0x41])
OUTCOMES = st.lists(st.sampled_from(list(Outcome)), max_size=2)


def check_survived(bench: Bench, before: Any, status: int) -> None:
    """Whatever came: a status, no more tries, nothing lost without success."""
    assert status in set(S)
    assert bench.state.pin_retries <= 8
    if status:
        assert bench.state == before
    assert bench.authenticator.handle(bytes([INFO]))[0] == 0


@pytest.mark.check("CBR-14")
@settings(max_examples=FUZZ, deadline=None)
@given(command=COMMANDS, body=st.binary(max_size=80), outcomes=OUTCOMES)
def test_fuzz_random_bytes(command: int, body: bytes, outcomes: list[Outcome]) -> None:
    bench = Bench()
    before = bench.state
    bench.person.will(*outcomes)
    reply = bench.authenticator.handle(bytes([command]) + body)
    check_survived(bench, before, reply[0])


@pytest.mark.check("CBR-14")
@settings(max_examples=FUZZ, deadline=None)
@given(
    command=st.sampled_from([MC, GA]),
    member=st.integers(1, 12),
    value=VALUES,
    outcomes=OUTCOMES,
)
def test_fuzz_mutated_members(
    command: int, member: int, value: Any, outcomes: list[Outcome]
) -> None:
    bench = Bench()
    made = bench.make(rk=True)
    before, count = bench.state, bench.store.count()
    bench.person.will(*outcomes)
    base = make_request if command == MC else get_request
    status = bench.status(command, base({member: value}))
    check_survived(bench, before, status)
    assert bench.store.count() >= count
    assert bench.store.find(made.id) is not None  # type: ignore[arg-type]


@pytest.mark.check("CBR-14")
@settings(max_examples=FUZZ, deadline=None)
@given(subcommand=st.integers(0, 10), member=st.integers(1, 11), value=VALUES)
def test_fuzz_client_pin(subcommand: int, member: int, value: Any) -> None:
    platform = Platform(Bench())
    platform.set_pin(PIN_CODE)
    requests = {
        3: platform.set_request(PIN_CODE),
        4: platform.change_request(PIN_CODE, PIN_CODE),
        5: platform.old_token_request(PIN_CODE),
        9: platform.token_request(PIN_CODE, 3),
    }
    request = requests.get(subcommand, {1: 2, 2: subcommand}) | {member: value}
    status = platform.bench.status(PIN, request)
    assert status in set(S)
    assert platform.bench.state.pin_retries in ({8} if status != S.PIN_INVALID else {7})
    platform.agree()
    assert platform.try_pin(PIN_CODE) == 0
