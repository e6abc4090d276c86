"""The token of permission pcmr, and what getInfo seals under it (TOK-13, TOK-14, GI-17, GI-18)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from fido2 import cbor
from tests.virtual.core.client import (
    GA,
    MC,
    PIN,
    RESET,
    Bench,
    Platform,
    S,
    descriptor,
    get_request,
    make_request,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.profile import CTAP_2_1, TOKEN_LIFETIME_MS

CRED_MGMT, CONFIG, BIO = 0x0A, 0x0D, 0x09
CM, PCMR = 0x04, 0x40
METADATA, RPS, NEXT_RP, CREDENTIALS, NEXT_CREDENTIAL, DELETE, UPDATE = range(1, 8)


def request(platform: Platform, token: bytes, sub: int, params: Any = None) -> dict[int, Any]:
    message = bytes([sub]) + (b"" if params is None else cbor.encode(params))
    made = {1: sub, 3: platform.version, 4: platform.mac(token, message)}
    return made if params is None else made | {2: params}


def status(platform: Platform, token: bytes, sub: int, params: Any = None) -> int:
    return platform.bench.status(CRED_MGMT, request(platform, token, sub, params))


def call(platform: Platform, token: bytes, sub: int, params: Any = None) -> Any:
    return platform.bench.ok(CRED_MGMT, request(platform, token, sub, params))


def resident(platform: Platform, user: bytes = b"ada", rp: str = "ssh:work") -> bytes:
    token = platform.token(PIN_CODE, 1)
    patch = {2: {"id": rp}, 3: {"id": user, "name": "n"}} | platform.make_auth(token)
    return platform.bench.make(patch, rk=True).id


def opened(platform: Platform, token: bytes, member: int, name: bytes) -> bytes:
    sealed = platform.bench.info()[member]
    key = HKDF(hashes.SHA256(), 16, bytes(32), name).derive(token)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(sealed[:16])).decryptor()
    return decryptor.update(sealed[16:]) + decryptor.finalize()


def identifier(platform: Platform, token: bytes) -> bytes:
    return opened(platform, token, 0x19, b"encIdentifier")


def store_state(platform: Platform, token: bytes) -> bytes:
    return opened(platform, token, 0x1E, b"encCredStoreState")


# --- issuing -------------------------------------------------------------------------------------


@pytest.mark.check("PIN-23", "TOK-13")
def test_by_pin_and_by_sensor_it_is_the_same(pinned: Platform) -> None:
    by_pin = pinned.token(PIN_CODE, PCMR)
    assert len(by_pin) == 32
    assert pinned.token(PIN_CODE, PCMR) == by_pin
    sensed = Platform(Bench(uv=True), pinned.version)
    assert sensed.uv_token(PCMR) == sensed.uv_token(PCMR)
    assert sensed.bench.touches() == 2


@pytest.mark.check("PIN-23")
@pytest.mark.parametrize("mixed", [0x41, 0x44, 0x7F])
def test_it_mixes_with_nothing(pinned: Platform, mixed: int) -> None:
    asked = pinned.token_request(PIN_CODE, mixed)
    assert pinned.bench.status(PIN, asked) == S.UNAUTHORIZED_PERMISSION
    sensed = Platform(Bench(uv=True), pinned.version)
    assert sensed.bench.status(PIN, sensed.uv_request(mixed)) == S.UNAUTHORIZED_PERMISSION


@pytest.mark.check("PIN-22")
def test_models_without_it() -> None:
    platform = Platform(Bench(CTAP_2_1))
    platform.set_pin(PIN_CODE)
    asked = platform.token_request(PIN_CODE, PCMR)
    assert platform.bench.status(PIN, asked) == S.UNAUTHORIZED_PERMISSION
    assert platform.bench.state.persistent_token is None
    assert not {0x19, 0x1E} & set(platform.bench.info())


@pytest.mark.check("TOK-07")
def test_issuing_it_leaves_the_session_token(pinned: Platform) -> None:
    session = pinned.token(PIN_CODE, CM)
    pinned.token(PIN_CODE, PCMR)
    assert status(pinned, session, METADATA) == S.OK


# --- reading -------------------------------------------------------------------------------------


@pytest.mark.check("TOK-13", "CM-12")
def test_it_reads_everything(pinned: Platform) -> None:
    ids = {resident(pinned, user) for user in (b"ada", b"grace")}
    resident(pinned, rp="ssh:home")
    token = pinned.token(PIN_CODE, PCMR)
    session = pinned.token(PIN_CODE, CM)
    for sub in (METADATA, RPS):
        assert call(pinned, token, sub) == call(pinned, session, sub)
    work = call(pinned, token, RPS)
    assert work[5] == 2
    assert pinned.bench.ok(CRED_MGMT, {1: NEXT_RP})[3]["id"] == "ssh:home"
    first = call(pinned, token, CREDENTIALS, {1: work[4]})
    second = pinned.bench.ok(CRED_MGMT, {1: NEXT_CREDENTIAL})
    assert {first[7]["id"], second[7]["id"]} == ids
    assert first[9] == 2


@pytest.mark.check("TOK-13")
def test_it_outlives_power_and_time(pinned: Platform) -> None:
    resident(pinned)
    token = pinned.token(PIN_CODE, PCMR)
    pinned.bench.clock.advance(100 * TOKEN_LIFETIME_MS)
    assert call(pinned, token, METADATA)[1] == 1
    pinned.bench.power_up()
    assert call(pinned, token, METADATA)[1] == 1


@pytest.mark.check("TOK-13", "TOK-15")
def test_no_session_token_ends_what_it_enumerates(pinned: Platform) -> None:
    for user in (b"ada", b"grace", b"joan"):
        resident(pinned, user)
    for permission, expected in ((PCMR, S.OK), (CM, S.NOT_ALLOWED)):
        pinned.token(PIN_CODE, CM)
        token = pinned.token(PIN_CODE, permission)
        call(pinned, token, CREDENTIALS, {1: call(pinned, token, RPS)[4]})
        pinned.bench.authenticator.token.tokens.revoke()
        assert pinned.bench.status(CRED_MGMT, {1: NEXT_CREDENTIAL}) == expected


@pytest.mark.check("TOK-13", "CM-12")
def test_it_changes_nothing(pinned: Platform) -> None:
    credential = descriptor(resident(pinned))
    token = pinned.token(PIN_CODE, PCMR)
    assert status(pinned, token, DELETE, {2: credential}) == S.PIN_AUTH_INVALID
    update = {2: credential, 3: {"id": b"ada", "name": "new"}}
    assert status(pinned, token, UPDATE, update) == S.PIN_AUTH_INVALID
    assert call(pinned, token, METADATA)[1] == 1


@pytest.mark.check("TOK-13")
def test_it_authorizes_no_other_command(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    bench = pinned.bench
    assert bench.status(MC, make_request(pinned.make_auth(token))) == S.PIN_AUTH_INVALID
    assert bench.status(GA, get_request(pinned.get_auth(token))) == S.PIN_AUTH_INVALID
    config = pinned.mac(token, b"\xff" * 32 + b"\x0d\x02")
    assert bench.status(CONFIG, {1: 2, 3: pinned.version, 4: config}) == S.PIN_AUTH_INVALID
    bio = pinned.mac(token, b"\1\4")
    assert bench.status(BIO, {1: 1, 2: 4, 4: pinned.version, 5: bio}) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-12")
@pytest.mark.parametrize("mac", [b"", bytes(16), bytes(32)])
def test_a_wrong_mac_costs_nothing(pinned: Platform, mac: bytes) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    wrong = request(pinned, token, METADATA) | {4: mac}
    assert pinned.bench.status(CRED_MGMT, wrong) == S.PIN_AUTH_INVALID
    assert pinned.retries() == 8
    assert status(pinned, token, METADATA) == S.OK


# --- its end -------------------------------------------------------------------------------------


def change_pin(platform: Platform) -> None:
    platform.bench.ok(PIN, platform.change_request(PIN_CODE, "another"))


def force_change(platform: Platform) -> None:
    configure(platform, {3: True})


def outgrow_the_pin(platform: Platform) -> None:
    configure(platform, {1: 20})


def configure(platform: Platform, params: Any) -> None:
    mac = platform.mac(
        platform.token(PIN_CODE, 0x20), b"\xff" * 32 + b"\x0d\x03" + cbor.encode(params)
    )
    platform.bench.ok(CONFIG, {1: 3, 2: params, 3: platform.version, 4: mac})


def reset(platform: Platform) -> None:
    platform.bench.ok(RESET)


@pytest.mark.check("TOK-14", "PIN-16", "GI-17", "GI-18")
@pytest.mark.parametrize("end", [change_pin, force_change, outgrow_the_pin, reset])
def test_it_ends(pinned: Platform, end: Callable[[Platform], None]) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    before = identifier(pinned, token), store_state(pinned, token)
    end(pinned)
    assert status(pinned, token, METADATA) == S.PIN_AUTH_INVALID
    assert identifier(pinned, token) != before[0]
    assert store_state(pinned, token) != before[1]


@pytest.mark.check("TOK-14")
def test_a_minimum_that_the_pin_meets_ends_nothing(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    configure(pinned, {1: 5})
    assert status(pinned, token, METADATA) == S.OK


def test_a_token_from_before_the_feature_gains_it(pinned: Platform) -> None:
    pinned.bench.authenticator.token.save(persistent_token=None)
    assert 0x19 not in pinned.bench.info()
    session = pinned.token(PIN_CODE, CM)
    assert status(pinned, session, METADATA) == S.OK
    token = pinned.token(PIN_CODE, PCMR)
    assert len(token) == 32
    assert status(pinned, token, METADATA) == S.OK
    assert 0x19 in pinned.bench.info()


# --- what getInfo seals under it -----------------------------------------------------------------


@pytest.mark.check("GI-17")
def test_both_members_are_stable_and_freshly_sealed(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    first, second = pinned.bench.info(), pinned.bench.info()
    for member in (0x19, 0x1E):
        assert len(first[member]) == len(second[member]) == 32
        assert first[member][:16] != second[member][:16]
        assert first[member][16:] != second[member][16:]
    known = identifier(pinned, token), store_state(pinned, token)
    pinned.bench.power_up()
    assert (identifier(pinned, token), store_state(pinned, token)) == known
    assert known[0] != known[1]


@pytest.mark.check("GI-17")
def test_a_new_pin_does_not_make_a_new_token_of_it(pinned: Platform) -> None:
    before = identifier(pinned, pinned.token(PIN_CODE, PCMR))
    change_pin(pinned)
    assert identifier(pinned, pinned.token("another", PCMR)) == before


@pytest.mark.check("GI-18")
def test_a_reset_makes_a_new_token_of_it(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    before = identifier(pinned, token), store_state(pinned, token)
    reset(pinned)
    pinned.agree()
    pinned.set_pin(PIN_CODE)
    token = pinned.token(PIN_CODE, PCMR)
    assert identifier(pinned, token) != before[0]
    assert store_state(pinned, token) != before[1]


@pytest.mark.check("GI-18")
def test_the_store_state_follows_resident_credentials(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    seen = [store_state(pinned, token)]
    resident(pinned)
    seen.append(store_state(pinned, token))
    credential = descriptor(resident(pinned))
    seen.append(store_state(pinned, token))
    session = pinned.token(PIN_CODE, CM)
    update = {2: credential, 3: {"id": b"ada", "name": "new"}}
    assert status(pinned, session, UPDATE, update) == S.OK
    seen.append(store_state(pinned, token))
    assert status(pinned, session, DELETE, {2: credential}) == S.OK
    seen.append(store_state(pinned, token))
    assert len(set(seen)) == 5


@pytest.mark.check("GI-18")
def test_the_store_state_follows_nothing_else(pinned: Platform) -> None:
    resident(pinned)
    token = pinned.token(PIN_CODE, PCMR)
    before = store_state(pinned, token)
    pinned.bench.get()
    pinned.bench.make()
    session = pinned.token(PIN_CODE, CM)
    assert status(pinned, session, DELETE, {2: descriptor(b"unknown")}) == S.NO_CREDENTIALS
    call(pinned, session, RPS)
    assert store_state(pinned, token) == before


def test_the_seal_is_under_the_persistent_token_alone(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    known = identifier(pinned, token)
    stranger = Platform(Bench(seed=2), pinned.version)
    stranger.set_pin(PIN_CODE)
    assert identifier(stranger, stranger.token(PIN_CODE, PCMR)) != known
    assert identifier(pinned, bytes(32)) != known


@pytest.mark.check("PIN-22")
def test_a_token_opened_as_a_lesser_model_keeps_it_to_itself(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, PCMR)
    bench = pinned.bench
    bench.profile = bench.profile.with_options(perCredMgmtRO=None)
    bench.power_up()
    assert bench.state.persistent_token == token
    assert status(pinned, token, METADATA) == S.PIN_AUTH_INVALID
    assert not {0x19, 0x1E} & set(bench.info())
