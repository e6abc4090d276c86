"""Checks U2F-01 to U2F-16, at the level of bytes, and python-fido2's Ctap1 as a judge."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.ctap1 import ApduError, Ctap1
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    GA,
    HASH,
    MC,
    RP,
    Bench,
    Platform,
    S,
    check_signature,
    descriptor,
    get_request,
    make_request,
    param,
)
from tests.virtual.fido2_device import LinkDevice

from fidokit.virtual.core.ports import Outcome, PresenceKind
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.token import VirtualToken

APP = hashlib.sha256(RP.encode()).digest()
CHALLENGE = bytes(range(32, 64))
REGISTER, AUTHENTICATE, VERSION = 1, 2, 3
ENFORCE, CHECK, DONT_ENFORCE = 3, 7, 8

OK = 0x9000
WRONG_LENGTH = 0x6700
CONDITIONS = 0x6985
NOT_ALLOWED = 0x6986
WRONG_DATA = 0x6A80
WRONG_P1 = 0x6A86
NO_INS = 0x6D00
NO_CLA = 0x6E00


def extended(ins: int, p1: int = 0, data: bytes = b"", le: bytes = b"\0\0") -> bytes:
    return bytes([0, ins, p1, 0, 0]) + len(data).to_bytes(2) + data + le


def short(ins: int, p1: int = 0, data: bytes = b"", le: bytes = b"\0") -> bytes:
    lc = bytes([len(data)]) if data else b""
    return bytes([0, ins, p1, 0]) + lc + data + le


def send(bench: Bench, apdu: bytes) -> tuple[bytes, int]:
    reply = bench.authenticator.handle_msg(apdu)
    return reply[:-2], int.from_bytes(reply[-2:])


def word(bench: Bench, apdu: bytes) -> int:
    data, status = send(bench, apdu)
    assert data == b"" or status == OK
    return status


class Registered:
    """A registration taken apart, and its signature checked."""

    def __init__(self, reply: bytes, app: bytes = APP, challenge: bytes = CHALLENGE) -> None:
        assert reply[0] == 5
        self.point, size = reply[1:66], reply[66]
        self.handle, rest = reply[67 : 67 + size], reply[67 + size :]
        length = 4 + int.from_bytes(rest[2:4])  # DER: 30 82 hi lo
        assert rest[:2] == b"\x30\x82"
        self.certificate = x509.load_der_x509_certificate(rest[:length])
        signed = b"\x00" + app + challenge + self.handle + self.point
        key = self.certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        key.verify(rest[length:], signed, ec.ECDSA(hashes.SHA256()))

    def cose(self) -> dict[int, Any]:
        return {1: 2, 3: -7, -1: 1, -2: self.point[1:33], -3: self.point[33:]}

    def check(self, reply: bytes, up: int, app: bytes = APP) -> int:
        """Check an authentication and return its counter."""
        assert reply[0] == up
        check_signature(self.cose(), reply[5:], app + reply[:5] + CHALLENGE)
        return int.from_bytes(reply[1:5])


def register(bench: Bench, app: bytes = APP) -> Registered:
    data, status = send(bench, extended(REGISTER, data=CHALLENGE + app))
    assert status == OK
    return Registered(data, app)


def sign_data(handle: bytes, app: bytes = APP) -> bytes:
    return CHALLENGE + app + bytes([len(handle)]) + handle


def authenticate(bench: Bench, handle: bytes, p1: int = ENFORCE, app: bytes = APP) -> Any:
    return send(bench, extended(AUTHENTICATE, p1, sign_data(handle, app)))


# --- registering ---------------------------------------------------------------------------------


@pytest.mark.check("U2F-01")
def test_register(bench: Bench) -> None:
    registered = register(bench)
    assert registered.point[0] == 4
    assert 1 <= len(registered.handle) <= 255
    assert bench.touches() == 1


@pytest.mark.check("U2F-02")
def test_register_untouched_is_answered_at_once_and_repeatable(bench: Bench) -> None:
    bench.person.will(Outcome.TIMED_OUT, Outcome.REFUSED, Outcome.CANCELLED)
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


# --- both protocols over the same credentials ----------------------------------------------------


@pytest.mark.check("U2F-15")
def test_a_u2f_handle_in_an_allow_list(bench: Bench) -> None:
    registered = register(bench)
    body = bench.get({3: [descriptor(registered.handle)]})
    check_signature(registered.cose(), body[3], body[2] + HASH)


@pytest.mark.check("U2F-15", "MC-13")
def test_a_u2f_handle_in_an_exclude_list(bench: Bench) -> None:
    excluded = make_request({5: [descriptor(register(bench).handle)]})
    assert bench.status(MC, excluded) == S.CREDENTIAL_EXCLUDED


@pytest.mark.check("U2F-15")
def test_a_ctap2_credential_as_a_handle(bench: Bench) -> None:
    made = bench.make()
    data, status = authenticate(bench, made.id)
    assert status == OK
    check_signature(made.data.key, data[5:], APP + data[:5] + CHALLENGE)


@pytest.mark.check("U2F-15")
def test_other_algorithms_are_not_usable(bench: Bench) -> None:
    made = bench.make({4: [param(EDDSA)]})
    assert authenticate(bench, made.id) == (b"", WRONG_DATA)


@pytest.mark.check("CPR-03")
@pytest.mark.parametrize(("level", "expected"), [(1, OK), (2, OK), (3, WRONG_DATA)])
def test_protected_credentials(bench: Bench, level: int, expected: int) -> None:
    made = bench.make({4: [param(ES256)], 6: {"credProtect": level}})
    assert authenticate(bench, made.id)[1] == expected


@pytest.mark.check("U2F-13", "GA-17")
def test_the_counter_rises_over_both_protocols(bench: Bench) -> None:
    registered = register(bench)
    listed = {3: [descriptor(registered.handle)]}
    counters = []
    for _ in range(3):
        counters.append(registered.check(authenticate(bench, registered.handle)[0], up=1))
        counters.append(int.from_bytes(bench.get(listed)[2][33:37]))
    assert counters == sorted(set(counters))


@pytest.mark.check("RST-04")
def test_a_reset_ends_handles(bench: Bench) -> None:
    handle = register(bench).handle
    bench.ok(7)
    assert authenticate(bench, handle) == (b"", WRONG_DATA)
    assert bench.status(GA, get_request({3: [descriptor(handle)]})) == S.NO_CREDENTIALS


@pytest.mark.check("GN-04", "CM-09")
def test_a_message_between_ends_an_enumeration(bench: Bench) -> None:
    for user in (b"a", b"b"):
        bench.make({3: {"id": user}}, rk=True)
    bench.get()
    word(bench, short(VERSION))
    assert bench.status(8) == S.NOT_ALLOWED


# --- models and settings -------------------------------------------------------------------------


@pytest.mark.check("U2F-16")
def test_always_uv_without_a_sensor_shuts_u2f_off(bench: Bench) -> None:
    handle = register(bench).handle
    bench.ok(0x0D, {1: 2})
    assert word(bench, extended(REGISTER, data=CHALLENGE + APP)) == NOT_ALLOWED
    assert authenticate(bench, handle) == (b"", NOT_ALLOWED)
    assert authenticate(bench, handle, CHECK) == (b"", NOT_ALLOWED)


@pytest.mark.check("U2F-16")
def test_another_word_for_it_is_a_models_choice() -> None:
    behaviour = replace(CTAP_2_3.behaviour, u2f_under_always_uv=CONDITIONS)
    bench = Bench(replace(CTAP_2_3, behaviour=behaviour))
    bench.ok(0x0D, {1: 2})
    assert word(bench, extended(REGISTER, data=CHALLENGE + APP)) == CONDITIONS


def sensor() -> Bench:
    """Under alwaysUv, with a finger enrolled."""
    bench = Bench(uv=True)
    bench.authenticator.token.save(always_uv=True)
    return bench


@pytest.mark.check("U2F-16")
def test_a_sensor_serves_u2f_under_always_uv() -> None:
    bench = sensor()
    assert "U2F_V2" in bench.info()[1]
    handle = register(bench).handle
    assert authenticate(bench, handle)[1] == OK
    assert bench.person.asked == [PresenceKind.VERIFY_NOW] * 2
    assert authenticate(bench, handle, CHECK) == (b"", CONDITIONS)
    assert len(bench.person.asked) == 2


@pytest.mark.check("U2F-16", "U2F-02")
def test_a_finger_that_is_not_there_yet_costs_nothing() -> None:
    bench = sensor()
    bench.person.will(*[Outcome.TIMED_OUT] * 20)
    for _ in range(20):
        assert word(bench, extended(REGISTER, data=CHALLENGE + APP)) == CONDITIONS
    assert (bench.state.uv_retries, bench.state.uv_count) == (8, 0)
    assert register(bench)
    assert bench.state.uv_count == 1


@pytest.mark.check("U2F-16")
def test_wrong_fingers_shut_it() -> None:
    bench = sensor()
    bench.person.will(*[Outcome.UV_MISMATCHED] * 8)
    for left in range(7, -1, -1):
        assert word(bench, extended(REGISTER, data=CHALLENGE + APP)) == CONDITIONS
        assert bench.state.uv_retries == left
    assert word(bench, extended(REGISTER, data=CHALLENGE + APP)) == NOT_ALLOWED
    assert bench.info()[0x17] == 8


@pytest.mark.check("U2F-16")
def test_the_right_finger_restores_the_attempts() -> None:
    bench = sensor()
    bench.person.will(Outcome.UV_MISMATCHED)
    assert word(bench, extended(REGISTER, data=CHALLENGE + APP)) == CONDITIONS
    assert register(bench)
    assert bench.state.uv_retries == 8


@pytest.mark.check("U2F-16")
def test_a_plain_touch_is_no_finger() -> None:
    bench = sensor()
    bench.person.will(Outcome.TOUCHED)
    assert word(bench, extended(REGISTER, data=CHALLENGE + APP)) == CONDITIONS
    assert bench.state.uv_retries == 7


@pytest.mark.check("U2F-16")
def test_a_pin_does_not_shut_u2f_off(pinned: Platform) -> None:
    assert register(pinned.bench)


def test_a_model_without_u2f_knows_no_instruction() -> None:
    bench = Bench(replace(CTAP_2_3, versions=("FIDO_2_3", "FIDO_2_1")))
    for apdu in (short(VERSION), extended(REGISTER, data=CHALLENGE + APP), b"", b"\xff"):
        assert word(bench, apdu) == NO_INS


def test_a_model_with_u2f_alone() -> None:
    bench = Bench("u2f")
    register(bench)
    assert bench.status(4) == S.INVALID_COMMAND


# --- the judge -----------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["u2f", "ctap2.0", "ctap2.3"])
def test_python_fido2_registers_and_authenticates(model: str) -> None:
    with VirtualToken(profile=model) as token:
        client = Ctap1(LinkDevice(token.link()))
        assert client.get_version() == "U2F_V2"
        registration = client.register(CHALLENGE, APP)
        registration.verify(APP, CHALLENGE)
        for _ in range(2):
            signature = client.authenticate(CHALLENGE, APP, registration.key_handle)
            signature.verify(APP, CHALLENGE, registration.public_key)
        with pytest.raises(ApduError) as caught:
            client.authenticate(CHALLENGE, APP, registration.key_handle, check_only=True)
        assert caught.value.code == CONDITIONS


def test_a_polling_client_gets_its_touch() -> None:
    with VirtualToken(profile="u2f", presence="script") as token:
        client = Ctap1(LinkDevice(token.link()))
        with pytest.raises(ApduError) as caught:
            client.register(CHALLENGE, APP)
        assert caught.value.code == CONDITIONS
        token.touch()
        client.register(CHALLENGE, APP).verify(APP, CHALLENGE)


def test_a_u2f_client_is_told_to_try_again_while_another_link_waits() -> None:
    with VirtualToken(presence="script") as token:
        link, other = token.link(), token.link()
        words = []

        def on_keepalive(_: int) -> None:
            words.append(other.msg(short(VERSION)))
            token.touch()

        assert link.cbor(b"\x0b", on_keepalive, lambda: False) == b"\x00"
        assert words == [CONDITIONS.to_bytes(2)]
