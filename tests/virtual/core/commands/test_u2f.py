"""Checks U2F-01 to U2F-14, at the level of bytes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.virtual.core.client import (
    HASH,
    Bench,
)
from tests.virtual.core.u2f_client import (
    APP,
    AUTHENTICATE,
    CHALLENGE,
    CHECK,
    CONDITIONS,
    DONT_ENFORCE,
    ENFORCE,
    NO_CLA,
    NO_INS,
    OK,
    REGISTER,
    VERSION,
    WRONG_DATA,
    WRONG_LENGTH,
    WRONG_P1,
    Registered,
    authenticate,
    extended,
    register,
    send,
    short,
    sign_data,
    word,
)

from fidokit.virtual.core.ports import Outcome

# --- registering ---------------------------------------------------------------------------------


@pytest.mark.check("U2F-01")
def test_register(bench: Bench) -> None:
    registered = register(bench)
    assert registered.point[0] == 4
    assert 1 <= len(registered.handle) <= 255
    assert bench.touches() == 1


@pytest.mark.check("U2F-02")
def test_register_untouched_is_answered_at_once_and_repeatable(bench: Bench) -> None:
    bench.person.will(Outcome.TIMED_OUT, Outcome.REFUSED, Outcome.CANCELED)
    apdu = extended(REGISTER, data=CHALLENGE + APP)
    assert [word(bench, apdu) for _ in range(4)] == [CONDITIONS] * 3 + [OK]
    assert [kind.name for kind in bench.person.asked] == ["TOUCH_NOW"] * 4


@pytest.mark.check("U2F-02")
def test_the_same_input_gives_different_handles(bench: Bench) -> None:
    assert register(bench).handle != register(bench).handle


@pytest.mark.check("U2F-02")
@pytest.mark.parametrize(("p1", "p2"), [(3, 0), (0x80, 0), (0, 7), (255, 255)])
def test_register_ignores_p1_and_p2(bench: Bench, p1: int, p2: int) -> None:
    apdu = bytearray(extended(REGISTER, p1, CHALLENGE + APP))
    apdu[3] = p2
    assert word(bench, bytes(apdu)) == OK


@pytest.mark.check("U2F-03")
@pytest.mark.parametrize("size", [0, 1, 63, 65, 255])
def test_register_with_other_sizes(bench: Bench, size: int) -> None:
    assert word(bench, extended(REGISTER, data=bytes(size))) == WRONG_LENGTH
    assert bench.touches() == 0


@pytest.mark.check("U2F-14")
@pytest.mark.parametrize("byte", [b"\0", b"A", b"\xff"])
def test_the_touch_test_of_browsers(bench: Bench, byte: bytes) -> None:
    data, status = send(bench, extended(REGISTER, data=byte * 64))
    assert status == OK
    Registered(data, byte * 32, byte * 32)


# --- authenticating ------------------------------------------------------------------------------


@pytest.mark.check("U2F-04")
def test_looking_uses_no_touch_and_no_counter(bench: Bench) -> None:
    handle = register(bench).handle
    bench.touches()
    assert authenticate(bench, handle, CHECK) == (b"", CONDITIONS)
    assert authenticate(bench, bytes(64), CHECK) == (b"", WRONG_DATA)
    assert bench.touches() == 0
    counters = [authenticate(bench, handle)[0][1:5]]
    authenticate(bench, handle, CHECK)
    counters.append(authenticate(bench, handle)[0][1:5])
    assert int.from_bytes(counters[1]) == int.from_bytes(counters[0]) + 1


@pytest.mark.check("U2F-05", "U2F-13")
def test_authenticate(bench: Bench) -> None:
    registered = register(bench)
    counters = []
    for _ in range(3):
        data, status = authenticate(bench, registered.handle)
        assert status == OK
        counters.append(registered.check(data, up=1))
    bench.power_up()
    counters.append(registered.check(authenticate(bench, registered.handle)[0], up=1))
    assert counters == sorted(set(counters))


@pytest.mark.check("U2F-05")
def test_authenticate_untouched(bench: Bench) -> None:
    handle = register(bench).handle
    bench.person.will(Outcome.TIMED_OUT)
    assert authenticate(bench, handle) == (b"", CONDITIONS)


@pytest.mark.check("U2F-06")
def test_authenticate_without_presence(bench: Bench) -> None:
    registered = register(bench)
    bench.touches()
    data, status = authenticate(bench, registered.handle, DONT_ENFORCE)
    assert status == OK
    registered.check(data, up=0)
    assert bench.touches() == 0


@pytest.mark.check("U2F-07")
@pytest.mark.parametrize("p1", [0, 1, 2, 4, 9, 0x80, 255])
def test_other_controls(bench: Bench, p1: int) -> None:
    assert authenticate(bench, register(bench).handle, p1) == (b"", WRONG_P1)


@pytest.mark.check("U2F-08")
@pytest.mark.parametrize("p1", [ENFORCE, CHECK, DONT_ENFORCE])
def test_foreign_handles_are_refused_before_any_touch(bench: Bench, p1: int) -> None:
    handle = register(bench).handle
    changed = [handle[:at] + bytes([handle[at] ^ 1]) + handle[at + 1 :] for at in range(0, 66, 5)]
    cut = [handle[:size] for size in range(0, len(handle), 7)]
    bench.touches()
    for foreign in (*changed, *cut, handle + b"\0", bytes(255)):
        assert authenticate(bench, foreign, p1) == (b"", WRONG_DATA)
    assert authenticate(bench, handle, p1, app=bytes(32)) == (b"", WRONG_DATA)
    assert bench.touches() == 0


@pytest.mark.check("U2F-09")
@pytest.mark.parametrize("size", [0, 1, 63, 64])
def test_authentication_data_that_is_too_short(bench: Bench, size: int) -> None:
    assert word(bench, extended(AUTHENTICATE, ENFORCE, bytes(size))) == WRONG_LENGTH


@pytest.mark.check("U2F-09")
@pytest.mark.parametrize("change", [-1, 1, 100])
def test_a_handle_length_that_disagrees(bench: Bench, change: int) -> None:
    data = bytearray(sign_data(register(bench).handle))
    data[64] += change
    assert word(bench, extended(AUTHENTICATE, ENFORCE, bytes(data))) == WRONG_LENGTH


# --- APDUs ---------------------------------------------------------------------------------------


@pytest.mark.check("U2F-10")
@pytest.mark.parametrize(
    "apdu",
    [short(VERSION), short(VERSION, le=b""), extended(VERSION), extended(VERSION, le=b"")],
    ids=["short", "short without Le", "extended", "extended without Le"],
)
def test_version(bench: Bench, apdu: bytes) -> None:
    assert send(bench, apdu) == (b"U2F_V2", OK)


@pytest.mark.check("U2F-10")
@pytest.mark.parametrize("form", [short, extended])
def test_version_with_data(bench: Bench, form: Any) -> None:
    assert word(bench, form(VERSION, data=b"x")) == WRONG_LENGTH


@pytest.mark.check("U2F-11")
@pytest.mark.parametrize("ins", [REGISTER, VERSION, 0x99])
@pytest.mark.parametrize("cla", [0x01, 0x10, 0x80, 0xFF])
def test_the_class_is_judged_first(bench: Bench, cla: int, ins: int) -> None:
    assert word(bench, bytes([cla]) + short(ins)[1:]) == NO_CLA


@pytest.mark.check("U2F-11")
@pytest.mark.parametrize("ins", [0x00, 0x04, 0x40, 0xA4, 0xC0, 0xFF])
def test_unknown_instructions(bench: Bench, ins: int) -> None:
    assert word(bench, short(ins)) == NO_INS


@pytest.mark.check("U2F-12")
@pytest.mark.parametrize("le", [b"", b"\0", b"\x40"])
def test_short_and_extended_are_the_same(bench: Bench, le: bytes) -> None:
    handle = register(bench).handle
    assert word(bench, short(REGISTER, data=CHALLENGE + APP, le=le)) == OK
    assert word(bench, short(AUTHENTICATE, ENFORCE, sign_data(handle), le=le)) == OK
    assert word(bench, extended(AUTHENTICATE, ENFORCE, sign_data(handle), le=le * 2)) == OK


@pytest.mark.check("U2F-12")
@pytest.mark.parametrize("form", [short, extended])
def test_cut_at_every_byte(bench: Bench, form: Any) -> None:
    whole = form(REGISTER, data=CHALLENGE + APP)
    complete_without_le = len(form(REGISTER, data=CHALLENGE + APP, le=b""))
    for cut in range(len(whole)):
        expected = OK if cut == complete_without_le else WRONG_LENGTH
        assert word(bench, whole[:cut]) == expected, cut


@pytest.mark.check("U2F-12")
@pytest.mark.parametrize("form", [short, extended])
def test_bytes_behind_the_apdu(bench: Bench, form: Any) -> None:
    assert word(bench, form(REGISTER, data=CHALLENGE + APP) + b"\0") == WRONG_LENGTH


@pytest.mark.check("U2F-12")
@pytest.mark.parametrize("apdu", ["00010000 41", "00010000 0000", "00010000 00 ffff 00"])
def test_lengths_beyond_the_data(bench: Bench, apdu: str) -> None:
    assert word(bench, bytes.fromhex(apdu)) == WRONG_LENGTH


@pytest.mark.check("CBR-14")
def test_fuzz_random_apdus_end_in_a_status_word(bench: Bench) -> None:
    known = {OK, WRONG_LENGTH, CONDITIONS, WRONG_DATA, WRONG_P1, NO_INS, NO_CLA}
    handle = register(bench).handle
    seeds = [short(REGISTER, data=HASH * 2), extended(AUTHENTICATE, 3, sign_data(handle))]
    for turn in range(3000):
        apdu = bytearray(seeds[turn % 2])
        noise = bench.rng.bytes(8)
        for at, byte in zip(noise[::2], noise[1::2], strict=True):
            apdu[at % (len(apdu) if turn % 3 else 8)] = byte % 16 if turn % 5 else byte
        del apdu[len(apdu) - (noise[0] % 4) :]
        assert word(bench, bytes(apdu)) in known
