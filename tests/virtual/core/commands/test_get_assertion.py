"""getAssertion and getNextAssertion, check by check (GA-*, GN-*)."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    GA,
    GNA,
    HASH,
    INFO,
    MC,
    MISSING,
    PIN,
    RP,
    SELECTION,
    AuthData,
    Bench,
    Made,
    Platform,
    S,
    any_of,
    case,
    check_signature,
    descriptor,
    get_request,
    make_request,
    param,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.profile import CTAP_2_3


def fill(bench: Bench, count: int = 3) -> list[Made]:
    """Resident credentials of one RP, oldest first."""
    users = [
        {"id": bytes([n]), "name": f"name {n}", "displayName": f"display {n}"} for n in range(count)
    ]
    return [bench.make({3: user}, rk=True) for user in users]


@pytest.mark.check("GA-01", "GA-16", "GA-18")
@pytest.mark.parametrize("alg", [ES256, EDDSA])
@pytest.mark.parametrize("rk", [True, False])
def test_a_good_request(bench: Bench, alg: int, rk: bool) -> None:
    made = bench.make({4: [param(alg)]}, rk=rk)
    body = bench.get({3: [descriptor(made.id)]})
    assert set(body) == ({1, 2, 3, 4} if rk else {1, 2, 3})
    assert body[1] == descriptor(made.id)
    assert len(body[2]) == 37
    data = AuthData.parse(body[2])
    assert data.rp_id_hash == hashlib.sha256(RP.encode()).digest()
    assert data.flags == 0x01
    check_signature(made.data.key, body[3], body[2] + HASH)


FORM = [
    case("GA-02", {1: MISSING}, S.MISSING_PARAMETER),
    case("GA-02", {2: MISSING}, S.MISSING_PARAMETER),
    case("GA-03", {3: [{"id": b"x"}]}, S.CBOR_UNEXPECTED_TYPE),
    case("GA-03", {3: [{"type": "public-key"}]}, S.CBOR_UNEXPECTED_TYPE),
    *[case("GA-02", {1: value}, S.CBOR_UNEXPECTED_TYPE) for value in (b"x", 1, None)],
    *[case("GA-02", {2: value}, S.CBOR_UNEXPECTED_TYPE) for value in ("x", 1, None)],
    *[case("GA-02", {3: value}, S.CBOR_UNEXPECTED_TYPE) for value in any_of("x", {}, None)],
    *[case("GA-02", {3: [value]}, S.CBOR_UNEXPECTED_TYPE) for value in any_of("x", b"x", 1, [])],
    case("GA-03", {3: [{"id": "x", "type": "public-key"}]}, S.CBOR_UNEXPECTED_TYPE),
    case("GA-03", {3: [{"id": b"x", "type": b"public-key"}]}, S.CBOR_UNEXPECTED_TYPE),
    case("GA-05", {5: {"up": 1}}, S.CBOR_UNEXPECTED_TYPE),
    case("GA-05", {5: {"uv": True}}, S.INVALID_OPTION),
    case("GA-06", {5: {"rk": True}}, S.UNSUPPORTED_OPTION),
    case("GA-06", {5: {"rk": False}}, S.UNSUPPORTED_OPTION),
    case("GA-08 MC-21", {6: b"x" * 16}, S.MISSING_PARAMETER),
    case("GA-08 MC-21", {6: b"x" * 16, 7: 3}, S.INVALID_PARAMETER),
    case("GA-11", {1: "ssh:none"}, S.NO_CREDENTIALS),
    case("GA-04", {3: [descriptor(b"x", "other")]}, S.NO_CREDENTIALS),
    case("GA-12", {3: [descriptor(b"x" * n) for n in range(70)][:60]}, S.NO_CREDENTIALS),
    case("MC-31", {2: b"x" * 31}, S.INVALID_LENGTH),
]


@pytest.mark.parametrize(("patch", "status"), FORM)
def test_refusals_before_any_touch(bench: Bench, patch: Any, status: S) -> None:
    bench.make(rk=True)
    bench.touches()
    assert bench.status(GA, get_request(patch)) == status
    assert bench.touches() == 0


@pytest.mark.check("GA-08", "MC-20")
def test_zero_length_param(fresh: Platform) -> None:
    probe = get_request({6: b""})
    assert fresh.bench.status(GA, probe) == S.PIN_NOT_SET
    fresh.set_pin(PIN_CODE)
    assert fresh.bench.status(GA, probe) == S.PIN_INVALID


@pytest.mark.check("GA-08")
def test_param_on_an_unprotected_token(fresh: Platform) -> None:
    fresh.bench.make(rk=True)
    body = fresh.bench.get({6: b"x" * 16, 7: fresh.version})
    assert AuthData.parse(body[2]).flags == 0x01


@pytest.mark.check("GA-04")
def test_elements_of_another_type_are_passed_over(bench: Bench) -> None:
    made = bench.make()
    listed = [descriptor(made.id, "other"), descriptor(made.id)]
    assert bench.get({3: listed})[1]["id"] == made.id


@pytest.mark.check("GA-04")
def test_an_empty_list_is_no_list(bench: Bench) -> None:
    made = bench.make(rk=True)
    assert bench.get({3: []})[1]["id"] == made.id


@pytest.mark.check("GA-05")
def test_options(sensed: Platform) -> None:
    bench = sensed.bench
    bench.make(rk=True, uv=True)
    assert AuthData.parse(bench.get(unknown=True)[2]).flags == 0x01
    assert AuthData.parse(bench.get(up=True)[2]).up
    bench.touches()
    assert AuthData.parse(bench.get(uv=True)[2]).flags == 0x05
    assert bench.touches() == 1


@pytest.mark.check("GA-06")
def test_rk_on_ctap_2_0() -> None:
    assert Bench("ctap2.0").status(GA, get_request(rk=True)) == S.INVALID_OPTION


@pytest.mark.check("GA-07")
@pytest.mark.parametrize("always_uv", [False, True])
def test_without_presence(bench: Bench, always_uv: bool) -> None:
    made = bench.make(rk=True)
    bench.authenticator.token.save(always_uv=always_uv)
    bench.touches()
    body = bench.get(up=False)
    assert bench.touches() == 0
    data = AuthData.parse(body[2])
    assert data.flags == 0
    assert data.counter > made.data.counter
    check_signature(made.data.key, body[3], body[2] + HASH)


@pytest.mark.check("GA-09")
def test_verification_by_token(pinned: Platform) -> None:
    bench = pinned.bench
    made = bench.make()
    listed = {3: [descriptor(made.id)]}
    body = bench.get(listed | pinned.get_auth(pinned.token(PIN_CODE, 2, RP)))
    assert AuthData.parse(body[2]).flags == 0x05


@pytest.mark.check("GA-09")
@pytest.mark.parametrize(
    ("permissions", "rp_id", "message"),
    [(1, RP, HASH), (2, "ssh:other", HASH), (2, RP, bytes(32))],
)
def test_a_token_for_something_else(
    pinned: Platform, permissions: int, rp_id: str, message: bytes
) -> None:
    token = pinned.token(PIN_CODE, permissions, rp_id)
    request = get_request(pinned.get_auth(token, message))
    assert pinned.bench.status(GA, request) == S.PIN_AUTH_INVALID
    assert pinned.retries() == 8


@pytest.mark.check("GA-10")
def test_pin_set_and_no_param(pinned: Platform) -> None:
    made = pinned.bench.make()
    assert AuthData.parse(pinned.bench.get({3: [descriptor(made.id)]})[2]).flags == 0x01


@pytest.mark.check("GA-11")
def test_a_model_without_resident_keys() -> None:
    bench = Bench(CTAP_2_3.with_options(rk=None, credMgmt=None))
    bench.make()
    assert bench.status(GA, get_request()) == S.NO_CREDENTIALS


@pytest.mark.check("GA-12")
@pytest.mark.parametrize("rk", [True, False])
def test_corrupt_cut_and_foreign_ids(bench: Bench, rk: bool) -> None:
    made = bench.make(rk=rk)
    bad = [made.id[:cut] for cut in range(len(made.id))]
    bad += [made.id + b"\0"]
    for at in range(len(made.id)):
        bad.append(made.id[:at] + bytes([made.id[at] ^ 1]) + made.id[at + 1 :])
    for credential_id in bad:
        request = get_request({3: [descriptor(credential_id)]})
        assert bench.status(GA, request) == S.NO_CREDENTIALS
    foreign = get_request({1: "ssh:other", 3: [descriptor(made.id)]})
    assert bench.status(GA, foreign) == S.NO_CREDENTIALS


@pytest.mark.check("GA-13")
def test_several_listed_give_one(bench: Bench) -> None:
    made = fill(bench)
    body = bench.get({3: [descriptor(m.id) for m in made]})
    assert 5 not in body
    assert body[1]["id"] in {m.id for m in made}
    assert bench.status(GNA) == S.NOT_ALLOWED


@pytest.mark.check("GA-14", "GN-01", "GN-02")
@pytest.mark.parametrize("count", [1, 2, 5])
def test_newest_first(bench: Bench, count: int) -> None:
    made = fill(bench, count)
    bench.touches()
    bodies = [bench.get()] + [bench.ok(GNA) for _ in range(count - 1)]
    assert bench.touches() == 1
    assert [body[1]["id"] for body in bodies] == [m.id for m in reversed(made)]
    assert [body.get(5) for body in bodies] == [count if count > 1 else None] + [None] * (count - 1)
    for body, m in zip(bodies, reversed(made), strict=True):
        check_signature(m.data.key, body[3], body[2] + HASH)
        assert AuthData.parse(body[2]).flags == 0x01
    assert bench.status(GNA) == S.NOT_ALLOWED


@pytest.mark.check("GA-15", "GN-01")
def test_what_is_said_of_the_user(sensed: Platform) -> None:
    bench = sensed.bench
    [bench.make({3: u}, rk=True, uv=True) for u in ({"id": b"1", "name": "a"}, {"id": b""})]
    newest = {"id": b"2", "name": "b", "displayName": "c"}
    bench.make({3: newest}, rk=True, uv=True)
    users = [bench.get(uv=True).get(4), bench.ok(GNA).get(4), bench.ok(GNA).get(4)]
    assert users == [newest, None, {"id": b"1", "name": "a"}]
    assert bench.get().get(4) == {"id": b"2"}
    bench.make({2: {"id": "ssh:alone"}, 3: newest}, rk=True, uv=True)
    assert bench.get({1: "ssh:alone"}, uv=True)[4] == {"id": b"2"}


@pytest.mark.check("GA-17")
def test_the_counter_rises_over_restarts(bench: Bench) -> None:
    bench.make(rk=True)
    counters = []
    for _ in range(3):
        counters += [AuthData.parse(bench.get()[2]).counter for _ in range(3)]
        bench.power_up()
    assert counters == sorted(set(counters))


def test_unknown_flags_of_presence_stay_out(bench: Bench) -> None:
    bench.make(rk=True)
    assert AuthData.parse(bench.get()[2]).flags & ~0x05 == 0


@pytest.mark.check("GN-02")
def test_nothing_to_go_on_with(bench: Bench) -> None:
    assert bench.status(GNA) == S.NOT_ALLOWED
    fill(bench, 1)
    bench.get()
    assert bench.status(GNA) == S.NOT_ALLOWED


@pytest.mark.check("CBR-12")
def test_bytes_behind_the_next_are_ignored(bench: Bench) -> None:
    fill(bench, 2)
    bench.get()
    assert bench.raw(bytes([GNA]) + b"\xff").status == S.OK


@pytest.mark.check("GN-03")
@pytest.mark.parametrize(("wait", "status"), [(30_000, S.OK), (30_001, S.NOT_ALLOWED)])
def test_idle_limit(bench: Bench, wait: int, status: S) -> None:
    fill(bench, 4)
    bench.get()
    bench.clock.advance(20_000)
    bench.ok(GNA)
    bench.clock.advance(wait)
    assert bench.status(GNA) == status


BETWEEN = [
    (INFO, None),
    (SELECTION, None),
    (PIN, {2: 1}),
    (GA, {}),
    (MC, {}),
    (0x40, None),
    (0xFF, None),
]


@pytest.mark.check("GN-04")
@pytest.mark.parametrize(("command", "request_"), BETWEEN)
def test_another_command_drops_it(bench: Bench, command: int, request_: Any) -> None:
    fill(bench)
    bench.get()
    bench.call(command, request_)
    assert bench.status(GNA) == S.NOT_ALLOWED


@pytest.mark.check("GN-04")
def test_another_channel_and_power_drop_it(bench: Bench) -> None:
    fill(bench)
    bench.get()
    assert bench.status(GNA, channel=7) == S.NOT_ALLOWED
    assert bench.status(GNA) == S.NOT_ALLOWED
    bench.get()
    bench.authenticator.power_cycle()
    assert bench.status(GNA) == S.NOT_ALLOWED


@pytest.mark.check("GN-04")
def test_u2f_drops_it_too(bench: Bench) -> None:
    fill(bench)
    bench.get()
    bench.authenticator.handle_msg(bytes.fromhex("00030000"))
    assert bench.status(GNA) == S.NOT_ALLOWED


@pytest.mark.check("GN-04", "TOK-15")
def test_it_ends_with_its_token(pinned: Platform) -> None:
    bench = pinned.bench
    for number in range(40):
        token = pinned.token(PIN_CODE, 1, RP)
        auth = pinned.make_auth(token)
        bench.make({3: {"id": bytes([number])}} | auth, rk=True)
    bench.get(pinned.get_auth(pinned.token(PIN_CODE, 2, RP)))
    for _ in range(30):
        bench.clock.advance(19_999)
        assert bench.status(GNA) == S.OK
    bench.clock.advance(19_999)
    assert bench.status(GNA) == S.NOT_ALLOWED


@pytest.mark.check("GN-04")
def test_it_does_not_end_with_a_token_it_never_had(sensed: Platform) -> None:
    bench = sensed.bench
    sensed.uv_token(4)
    for number in range(2):
        bench.make({3: {"id": bytes([number])}}, rk=True, uv=True)
    sensed.uv_token(4)
    bench.clock.advance(10_000)
    bench.get(uv=True)
    bench.clock.advance(20_001)
    assert bench.authenticator.token.tokens.serial() is None
    bench.ok(GNA)


@pytest.mark.check("GA-15", "GN-01")
def test_verification_stays_in_what_follows(pinned: Platform) -> None:
    bench = pinned.bench
    for number in range(2):
        auth = pinned.make_auth(pinned.token(PIN_CODE, 1, RP))
        bench.make({3: {"id": bytes([number]), "name": "n"}} | auth, rk=True)
    first = bench.get(pinned.get_auth(pinned.token(PIN_CODE, 2, RP)))
    second = bench.ok(GNA)
    assert AuthData.parse(first[2]).flags == AuthData.parse(second[2]).flags == 0x05
    assert second[4] == {"id": b"\0", "name": "n"}


def test_deleted_and_reset_credentials(bench: Bench) -> None:
    made = bench.make(rk=True)
    bench.store.delete(made.id)  # type: ignore[arg-type]
    assert bench.status(GA, get_request({3: [descriptor(made.id)]})) == S.NO_CREDENTIALS
    assert bench.status(MC, make_request({5: [descriptor(made.id)]})) == S.OK
