"""hmac-secret in assertions (HMS-*)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    GA,
    GNA,
    MC,
    MISSING,
    PIN,
    RP,
    AuthData,
    Bench,
    Platform,
    S,
    case,
    descriptor,
    encode,
    get_request,
    make_request,
    patched,
)

from fidokit.virtual.core.profile import CTAP_2_3

ONE, TWO, THREE = (bytes([n]) * 32 for n in (1, 2, 3))


def asked(platform: Platform, *salts: bytes) -> dict[int, Any]:
    sealed = platform.seal(b"".join(salts))
    mac = platform.mac(platform.mac_key, sealed)
    return {1: platform.key, 2: sealed, 3: mac, 4: platform.version}


def opened(platform: Platform, body: Any) -> bytes:
    data = AuthData.parse(body[2])
    assert set(data.extensions) == {"hmac-secret"}
    return platform.open(data.extensions["hmac-secret"])


def secrets(platform: Platform, *salts: bytes, **options: bool) -> bytes:
    patch = {4: {"hmac-secret": asked(platform, *salts)}}
    return opened(platform, platform.bench.get(patch, **options))


@pytest.fixture
def ready(sensed: Platform) -> Platform:
    """A resident credential made with hmac-secret."""
    sensed.bench.make({6: {"hmac-secret": True}}, rk=True, uv=True)
    return sensed


@pytest.mark.check("HMS-02")
def test_one_and_two_salts(ready: Platform) -> None:
    one, two = secrets(ready, ONE), secrets(ready, ONE, TWO)
    assert (len(one), len(two)) == (32, 64)
    assert two == one + secrets(ready, TWO)
    assert len({one, secrets(ready, TWO), secrets(ready, THREE)}) == 3


@pytest.mark.check("HMS-02")
@pytest.mark.parametrize(("salts", "length"), [((ONE,), 32), ((ONE, TWO), 64)])
def test_length_on_the_wire(ready: Platform, salts: tuple[bytes, ...], length: int) -> None:
    body = ready.bench.get({4: {"hmac-secret": asked(ready, *salts)}})
    sealed = AuthData.parse(body[2]).extensions["hmac-secret"]
    assert len(sealed) == length + (16 if ready.version == 2 else 0)


@pytest.mark.check("HMS-03")
def test_verification_changes_the_secret_and_power_does_not(ready: Platform) -> None:
    without, with_uv = secrets(ready, ONE), secrets(ready, ONE, uv=True)
    assert without != with_uv
    ready.bench.power_up()
    ready.agree()
    assert (secrets(ready, ONE), secrets(ready, ONE, uv=True)) == (without, with_uv)


@pytest.mark.check("HMS-03")
def test_both_protocols_agree() -> None:
    bench = Bench()
    bench.make({6: {"hmac-secret": True}}, rk=True)
    assert secrets(Platform(bench, 1), ONE) == secrets(Platform(bench, 2), ONE)


@pytest.mark.check("HMS-03")
def test_protocol_1_may_go_unnamed(bench: Bench) -> None:
    bench.make(rk=True)
    platform = Platform(bench, 1)
    unnamed = patched(asked(platform, ONE), {4: MISSING})
    assert opened(platform, bench.get({4: {"hmac-secret": unnamed}})) == secrets(platform, ONE)


def test_a_model_without_protocol_1() -> None:
    bench = Bench(replace(CTAP_2_3, pin_protocols=(2,)))
    bench.make(rk=True)
    unnamed = patched(asked(Platform(bench, 2), ONE), {4: MISSING})
    request = get_request({4: {"hmac-secret": unnamed}})
    assert bench.status(GA, request) == S.PIN_AUTH_INVALID


@pytest.mark.check("HMS-04")
@pytest.mark.parametrize("size", [0, 16, 48, 80, 96])
def test_salts_of_other_lengths(ready: Platform, size: int) -> None:
    request = get_request({4: {"hmac-secret": asked(ready, bytes(size))}})
    assert ready.bench.status(GA, request) == S.INVALID_PARAMETER


@pytest.mark.check("HMS-04")
@pytest.mark.parametrize("size", [1, 31, 33, 63])
def test_salts_that_cannot_be_opened(ready: Platform, size: int) -> None:
    sealed = bytes(size)
    bad = asked(ready, ONE) | {2: sealed, 3: ready.mac(ready.mac_key, sealed)}
    request = get_request({4: {"hmac-secret": bad}})
    assert ready.bench.status(GA, request) == S.INVALID_PARAMETER


FAULTS = [
    *[case("HMS-05", {member: MISSING}, S.MISSING_PARAMETER) for member in (1, 2, 3)],
    case("HMS-05", {1: {1: 2, 3: -25, -1: 1, -2: bytes(32)}}, S.MISSING_PARAMETER),
    case("HMS-05", {1: {1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}}, S.MISSING_PARAMETER),
    case("HMS-05", {3: bytes(32)}, S.PIN_AUTH_INVALID),
    case("HMS-05", {3: b""}, S.PIN_AUTH_INVALID),
    case("HMS-05", {4: 3}, S.INVALID_PARAMETER),
    *[case("EXT-01", {member: "x"}, S.CBOR_UNEXPECTED_TYPE) for member in (1, 2, 3, 4)],
]


@pytest.mark.parametrize(("patch", "status"), FAULTS)
def test_faults(ready: Platform, patch: Any, status: S) -> None:
    bad = patched(asked(ready, ONE), patch)
    assert ready.bench.status(GA, get_request({4: {"hmac-secret": bad}})) == status


@pytest.mark.check("HMS-05")
def test_a_wrong_mac_in_ctap_2_0() -> None:
    bench = Bench("ctap2.0")
    bench.make(rk=False)
    bench.make({3: {"id": b"bob"}, 7: {"rk": True}})
    bad = asked(Platform(bench, 1), ONE) | {3: bytes(16)}
    assert (
        bench.authenticator.handle(b"\x02" + encode(get_request({4: {"hmac-secret": bad}})))
        == b"\xe0"
    )


@pytest.mark.check("EXT-01")
@pytest.mark.parametrize("value", [True, b"x", [], None])
def test_not_a_map(ready: Platform, value: Any) -> None:
    request = get_request({4: {"hmac-secret": value}})
    assert ready.bench.status(GA, request) == S.CBOR_UNEXPECTED_TYPE


@pytest.mark.check("HMS-05")
def test_no_secret_without_presence(ready: Platform) -> None:
    request = get_request({4: {"hmac-secret": asked(ready, ONE)}}, up=False)
    assert ready.bench.status(GA, request) == S.UNSUPPORTED_OPTION


@pytest.mark.check("HMS-06")
@pytest.mark.parametrize("rk", [True, False])
def test_credentials_made_without_it_answer(fresh: Platform, rk: bool) -> None:
    made = fresh.bench.make(rk=rk)
    listed = {3: [descriptor(made.id)], 4: {"hmac-secret": asked(fresh, ONE)}}
    first = opened(fresh, fresh.bench.get(listed))
    assert first == opened(fresh, fresh.bench.get(listed))
    other = fresh.bench.make({3: {"id": b"bob"}}, rk=rk)
    assert first != opened(fresh, fresh.bench.get(listed | {3: [descriptor(other.id)]}))


@pytest.mark.check("GN-05")
def test_each_next_assertion_has_its_own(fresh: Platform) -> None:
    bench = fresh.bench
    ids = [bench.make({3: {"id": bytes([n])}}, rk=True).id for n in range(3)]
    patch = {4: {"hmac-secret": asked(fresh, ONE)}}
    bodies = [bench.get(patch), bench.ok(GNA), bench.ok(GNA)]
    found = {body[1]["id"]: opened(fresh, body) for body in bodies}
    assert len(set(found.values())) == 3
    for credential_id in ids:
        body = bench.get(patch | {3: [descriptor(credential_id)]})
        assert opened(fresh, body) == found[credential_id]


@pytest.mark.check("RST-05")
def test_reset_changes_every_secret(fresh: Platform) -> None:
    fresh.bench.make(rk=True)
    before = secrets(fresh, ONE)
    fresh.bench.ok(0x07)
    fresh.agree()
    fresh.bench.make(rk=True)
    assert secrets(fresh, ONE) != before


def test_asking_does_not_change_the_pins_key(fresh: Platform) -> None:
    fresh.bench.make({2: {"id": RP}}, rk=True)
    secrets(fresh, ONE)
    fresh.bench.ok(PIN, fresh.set_request("1234"))


# --- hmac-secret-mc ------------------------------------------------------------------------------


def at_once(platform: Platform, *salts: bytes, **changes: Any) -> dict[int, Any]:
    """A makeCredential patch with both extensions."""
    inputs = {"hmac-secret": True, "hmac-secret-mc": asked(platform, *salts)} | changes
    return {6: {name: value for name, value in inputs.items() if value is not MISSING}}


@pytest.mark.check("HMC-01")
@pytest.mark.parametrize("salts", [(ONE,), (ONE, TWO)])
@pytest.mark.parametrize("rk", [True, False])
@pytest.mark.parametrize("uv", [True, False])
def test_made_and_used_alike(
    sensed: Platform, salts: tuple[bytes, ...], rk: bool, uv: bool
) -> None:
    made = sensed.bench.make(at_once(sensed, *salts), rk=rk, uv=uv or rk)
    assert set(made.data.extensions) == {"hmac-secret", "hmac-secret-mc"}
    assert made.data.extensions["hmac-secret"] is True
    at_making = sensed.open(made.data.extensions["hmac-secret-mc"])
    patch = {3: [descriptor(made.id)], 4: {"hmac-secret": asked(sensed, *salts)}}
    with_uv = opened(sensed, sensed.bench.get(patch, uv=True))
    without = opened(sensed, sensed.bench.get(patch))
    assert (at_making == with_uv, at_making == without) == (uv or rk, not (uv or rk))
    assert len(at_making) == 32 * len(salts)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        case("HMC-02", {"hmac-secret": MISSING}, S.MISSING_PARAMETER),
        case("HMC-02", {"hmac-secret": False}, S.MISSING_PARAMETER),
        case("HMC-02", {"hmac-secret-mc": True}, S.CBOR_UNEXPECTED_TYPE),
        case("HMC-02", {"hmac-secret-mc": b"x"}, S.CBOR_UNEXPECTED_TYPE),
        case("HMC-02", {"hmac-secret-mc": None}, S.CBOR_UNEXPECTED_TYPE),
        case("HMC-02", {"hmac-secret-mc": {}}, S.MISSING_PARAMETER),
    ],
)
def test_faults_at_making(fresh: Platform, changes: dict[str, Any], status: S) -> None:
    request = make_request(at_once(fresh, ONE, **changes), rk=True)
    assert fresh.bench.status(MC, request) == status
    assert fresh.bench.store.count() == 0


@pytest.mark.check("HMC-02", "HMS-04")
@pytest.mark.parametrize("size", [0, 16, 48, 96])
def test_salts_of_other_lengths_at_making(fresh: Platform, size: int) -> None:
    request = make_request(at_once(fresh, bytes(size)), rk=True)
    assert fresh.bench.status(MC, request) == S.INVALID_PARAMETER
    assert fresh.bench.store.count() == 0


@pytest.mark.check("HMC-02")
def test_a_wrong_mac_at_making(fresh: Platform) -> None:
    bad = asked(fresh, ONE) | {3: bytes(32)}
    request = make_request(at_once(fresh, **{"hmac-secret-mc": bad}), rk=True)
    assert fresh.bench.status(MC, request) == S.PIN_AUTH_INVALID
    assert fresh.bench.store.count() == 0


@pytest.mark.check("EXT-01")
def test_a_model_without_it() -> None:
    platform = Platform(Bench("ctap2.1"))
    made = platform.bench.make({6: {"hmac-secret": True, "hmac-secret-mc": 7}})
    assert made.data.extensions == {"hmac-secret": True}
