"""U2F beside CTAP2: credentials, models and settings of both (U2F-13, U2F-15, U2F-16); judges."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fido2.ctap1 import ApduError, Ctap1
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    GA,
    HASH,
    MC,
    Bench,
    Platform,
    S,
    check_signature,
    descriptor,
    get_request,
    make_request,
    param,
)
from tests.virtual.core.u2f_client import (
    APP,
    CHALLENGE,
    CHECK,
    CONDITIONS,
    NO_INS,
    NOT_ALLOWED,
    OK,
    REGISTER,
    VERSION,
    WRONG_DATA,
    authenticate,
    extended,
    register,
    short,
    word,
)
from tests.virtual.fido2_device import LinkDevice

from fidokit.virtual.core.ports import Outcome, PresenceKind
from fidokit.virtual.core.profile import CTAP_2_3
from fidokit.virtual.token import VirtualToken

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
    behavior = replace(CTAP_2_3.behavior, u2f_under_always_uv=CONDITIONS)
    bench = Bench(replace(CTAP_2_3, behavior=behavior))
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
