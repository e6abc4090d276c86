"""makeCredential, check by check (MC-*)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    EDDSA,
    ES256,
    GA,
    HASH,
    MC,
    MISSING,
    RP,
    Bench,
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

from fidokit.virtual.core.commands.make_credential import stored_name
from fidokit.virtual.core.ports import Outcome, PresenceKind
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_3

USER = {"id": b"ada"}


@pytest.mark.check("MC-01", "MC-34", "MC-35")
@pytest.mark.parametrize(("alg", "members"), [(ES256, {1, 3, -1, -2, -3}), (EDDSA, {1, 3, -1, -2})])
def test_a_good_request(bench: Bench, alg: int, members: set[int]) -> None:
    made = bench.make({4: [param(alg)]})
    assert set(made.body) == {1, 2, 3}
    data = made.data
    assert data.rp_id_hash == hashlib.sha256(RP.encode()).digest()
    assert data.flags == 0x41
    assert data.counter > 0
    assert data.aaguid == CTAP_2_3.aaguid
    assert set(data.key) == members
    assert data.key[3] == alg
    assert all(len(data.key[label]) == 32 for label in members & {-2, -3})
    assert alg == EDDSA or len(made.raw_data) >= 148


ABSENT = [
    case("MC-02", {1: MISSING}),
    case("MC-02", {2: MISSING}),
    case("MC-02", {3: MISSING}),
    case("MC-02", {4: MISSING}),
]
LACKING = [
    case("MC-05", {2: {"name": "x"}}),
    case("MC-05 CBR-09", {3: {"name": "x"}}),
    case("MC-07", {4: [{"alg": ES256}]}),
    case("MC-07 MC-09", {4: [param(ES256), {"type": "public-key"}]}),
    case("MC-11", {5: [{"id": b"x"}]}),
    case("MC-11", {5: [{"type": "public-key"}]}),
]


@pytest.mark.parametrize("patch", ABSENT)
def test_absent_members(bench: Bench, patch: Any) -> None:
    assert bench.status(MC, make_request(patch)) == S.MISSING_PARAMETER
    assert bench.touches() == 0


@pytest.mark.parametrize("patch", LACKING)
def test_members_that_are_absent_inside(bench: Bench, patch: Any) -> None:
    assert bench.status(MC, make_request(patch)) == S.CBOR_UNEXPECTED_TYPE
    assert bench.touches() == 0


WRONG_TYPES = [
    *[case("MC-03", {1: value}) for value in any_of("text", 1, None, [], {})],
    *[case("MC-03 CBR-07", {2: value}) for value in any_of("text", b"x", None, [])],
    *[case("MC-03", {3: value}) for value in any_of("text", b"x", None, [])],
    *[case("MC-03", {4: value}) for value in any_of("text", b"x", None, {})],
    *[case("MC-03", {5: value}) for value in any_of("text", b"x", None, {})],
    *[case("MC-03", {6: value}) for value in any_of("text", [], None, True)],
    *[case("MC-03", {7: value}) for value in any_of("text", [], None, True)],
    *[case("MC-04", {2: {"id": value}}) for value in (b"x", 1, None)],
    case("MC-04", {2: {"id": RP, "name": b"x"}}),
    case("MC-04", {3: {"id": b"x", "name": b"x"}}),
    case("MC-04", {3: {"id": b"x", "displayName": 7}}),
    *[case("MC-04", {3: {"id": value}}) for value in ("x", 1, None)],
    *[case("MC-06", {4: [value]}) for value in any_of("x", b"x", [], 1, None)],
    case("MC-06", {4: [{"type": 1, "alg": ES256}]}),
    case("MC-06", {4: [{"type": "public-key", "alg": "-7"}]}),
    case("MC-06", {4: [{"type": "public-key", "alg": True}]}),
    case("MC-06 MC-09", {4: [param(ES256), "x"]}),
    *[case("MC-11", {5: [value]}) for value in any_of("x", b"x", [], 1, None)],
    case("MC-11", {5: [{"type": 1, "id": b"x"}]}),
    case("MC-11", {5: [{"type": "public-key", "id": "x"}]}),
    *[case("MC-16", {7: {"rk": value}}) for value in (1, "true", None)],
    *[case("MC-03", {8: value}) for value in ("x", 1, None)],
    *[case("MC-03", {9: value}) for value in ("x", -1, True)],
    case("ATT-09", {10: "1"}),
    case("ATT-05", {11: "packed"}),
]


@pytest.mark.parametrize("patch", WRONG_TYPES)
def test_wrong_types(bench: Bench, patch: Any) -> None:
    assert bench.status(MC, make_request(patch)) == S.CBOR_UNEXPECTED_TYPE
    assert bench.touches() == 0


MEANINGLESS = [
    case("MC-05", {2: {"id": ""}}, S.INVALID_PARAMETER),
    case("MC-08", {4: [param(-999)]}, S.UNSUPPORTED_ALGORITHM),
    case("MC-08", {4: [param(ES256, "other")]}, S.UNSUPPORTED_ALGORITHM),
    case("MC-08", {4: []}, S.UNSUPPORTED_ALGORITHM),
    case("MC-17", {7: {"up": False}}, S.INVALID_OPTION),
    case("MC-18", {7: {"uv": True}}, S.INVALID_OPTION),
    case("MC-21", {8: b"x" * 16}, S.MISSING_PARAMETER),
    case("MC-21", {8: b"x" * 16, 9: 3}, S.INVALID_PARAMETER),
    case("MC-31", {1: b"x" * 31}, S.INVALID_LENGTH),
    case("MC-31", {1: b"x" * 33}, S.INVALID_LENGTH),
    case("MC-31", {3: {"id": b"x" * 65}}, S.LIMIT_EXCEEDED),
    *[case("ATT-07", {10: value}, S.INVALID_PARAMETER) for value in (1, 2, 3)],
]


@pytest.mark.parametrize(("patch", "status"), MEANINGLESS)
def test_refusals_before_any_touch(bench: Bench, patch: Any, status: S) -> None:
    assert bench.status(MC, make_request(patch)) == status
    assert bench.touches() == 0


ACCEPTED = [
    case("MC-09", {4: [param(-999), param(ES256, "other"), param(ES256)]}),
    case("MC-12", {5: [descriptor(b"x", "other")]}),
    case("MC-12", {5: [{**descriptor(b"x"), "transports": ["carrier pigeon"]}]}),
    case("MC-14", {5: [descriptor(b"x" * 66), descriptor(b"")]}),
    case("MC-16", {7: {"unknown": True}}),
    case("MC-17", {7: {"up": True}}),
    case("MC-31", {3: {"id": b""}}),
    case("MC-31", {3: {"id": b"x" * 64}}),
    case("MC-32", {2: {"id": RP, "name": "n" * 65, "icon": "i"}}),
    case("MC-33", {6: {"unknown": {"deep": [1]}}}),
    case("EXT-01", {6: {}}),
    case("CBR-08", {99: 1, 2: {"id": RP, "more": 1}, 3: {"id": b"", "more": []}}),
]


@pytest.mark.parametrize("patch", ACCEPTED)
def test_accepted(bench: Bench, patch: Any) -> None:
    made = bench.make(patch)
    assert made.data.flags == 0x41


@pytest.mark.check("MC-10")
@pytest.mark.parametrize("algs", [(EDDSA, ES256), (ES256, EDDSA)])
def test_the_first_of_the_rps_order(bench: Bench, algs: tuple[int, int]) -> None:
    assert bench.make({4: [param(alg) for alg in algs]}).data.key[3] == algs[0]


@pytest.mark.check("MC-13")
@pytest.mark.parametrize("rk", [True, False])
@pytest.mark.parametrize("outcome", [Outcome.TOUCHED, Outcome.REFUSED, Outcome.TIMED_OUT])
def test_excluded_after_a_touch(bench: Bench, rk: bool, outcome: Outcome) -> None:
    made = bench.make(rk=rk)
    bench.touches()
    bench.person.will(outcome)
    listed = {5: [descriptor(b"other"), descriptor(made.id)]}
    assert bench.status(MC, make_request(listed)) == S.CREDENTIAL_EXCLUDED
    assert bench.touches() == 1


@pytest.mark.check("MC-13")
def test_canceling_ends_an_excluded_request_too(bench: Bench) -> None:
    made = bench.make()
    bench.person.will(Outcome.CANCELED)
    assert bench.status(MC, make_request({5: [descriptor(made.id)]})) == S.KEEPALIVE_CANCEL


@pytest.mark.check("MC-14")
@pytest.mark.parametrize("rk", [True, False])
def test_not_excluded(bench: Bench, rk: bool) -> None:
    foreign = bench.make({2: {"id": "ssh:other"}}, rk=rk)
    hidden = bench.make({6: {"credProtect": 3}, 3: {"id": b"bob"}}, rk=rk)
    replaced = bench.make({3: {"id": b"eve"}}, rk=True)
    bench.make({3: {"id": b"eve"}}, rk=True)
    bench.make({5: [descriptor(c.id) for c in (foreign, hidden, replaced)]})


@pytest.mark.check("MC-14")
def test_a_protected_credential_excludes_with_verification(pinned: Platform) -> None:
    bench = pinned.bench

    def make(patch: dict[int, Any]) -> int:
        token = pinned.token(PIN_CODE, 1, RP)
        return bench.status(MC, make_request(pinned.make_auth(token) | patch))

    token = pinned.token(PIN_CODE, 1, RP)
    made = bench.make(pinned.make_auth(token) | {6: {"credProtect": 3}})
    assert make({5: [descriptor(made.id)]}) == S.CREDENTIAL_EXCLUDED
    assert bench.status(MC, make_request({5: [descriptor(made.id)]})) == S.OK


@pytest.mark.check("MC-15")
def test_lists_are_bounded(bench: Bench) -> None:
    limit = bench.info()[7]
    listed = [descriptor(bytes([n])) for n in range(limit + 1)]
    assert bench.status(MC, make_request({5: listed})) == S.LIMIT_EXCEEDED
    assert bench.status(MC, make_request({5: listed[:-1]})) == S.OK
    assert bench.status(GA, get_request({3: listed})) == S.LIMIT_EXCEEDED
    assert bench.status(GA, get_request({3: listed[:-1]})) == S.NO_CREDENTIALS


@pytest.mark.check("MC-17")
@pytest.mark.parametrize("up", [True, False])
def test_ctap_2_0_refuses_any_up(up: bool) -> None:
    assert Bench("ctap2.0").status(MC, make_request(up=up)) == S.INVALID_OPTION


@pytest.mark.check("MC-18")
def test_built_in_verification(sensed: Platform) -> None:
    bench = sensed.bench
    assert bench.make(uv=True).data.flags == 0x45
    assert bench.person.asked == [PresenceKind.VERIFY]


@pytest.mark.check("MC-18")
def test_a_param_overrides_option_uv(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, 1, RP)
    assert pinned.bench.make(pinned.make_auth(token), uv=True).data.uv


@pytest.mark.check("MC-19")
@pytest.mark.parametrize("rk", [True, False])
def test_rk_without_support(rk: bool) -> None:
    bench = Bench(CTAP_2_3.with_options(rk=None, credMgmt=None))
    assert bench.status(MC, make_request(rk=rk)) == S.UNSUPPORTED_OPTION


@pytest.mark.check("MC-28", "GA-19")
@pytest.mark.parametrize("command", [MC, GA])
@pytest.mark.parametrize(
    ("model", "outcome", "status"),
    [
        ("ctap2.3", Outcome.REFUSED, S.OPERATION_DENIED),
        ("ctap2.3", Outcome.TIMED_OUT, S.OPERATION_DENIED),
        ("ctap2.3", Outcome.CANCELED, S.KEEPALIVE_CANCEL),
        ("ctap2.0", Outcome.TIMED_OUT, S.USER_ACTION_TIMEOUT),
    ],
)
def test_no_touch(model: str, command: int, outcome: Outcome, status: S) -> None:
    bench = Bench(model)
    bench.make(rk=True)
    bench.person.will(outcome)
    request = make_request(rk=True) if command == MC else get_request()
    assert bench.status(command, request) == status
    assert bench.store.count() == 1


@pytest.mark.check("MC-29")
def test_same_rp_and_user_replace(bench: Bench) -> None:
    first, second = bench.make(rk=True), bench.make({4: [param(EDDSA)]}, rk=True)
    longer = bench.make({3: {"id": b"ada2"}}, rk=True)
    assert len({first.id, second.id, longer.id}) == 3
    assert len({str(made.data.key) for made in (first, second, longer)}) == 3
    assert bench.store.count() == 2
    dead = get_request({3: [descriptor(first.id)]})
    assert bench.status(GA, dead) == S.NO_CREDENTIALS
    assert bench.get({3: [descriptor(second.id)]})[1]["id"] == second.id


@pytest.mark.check("MC-30", "GI-09")
def test_store_full() -> None:
    bench = Bench(replace(CTAP_2_3, max_resident=2))
    for number in range(2):
        assert bench.info()[0x14] == 2 - number
        bench.make({3: {"id": bytes([number])}}, rk=True)
    assert bench.status(MC, make_request(rk=True)) == S.KEY_STORE_FULL
    bench.make({3: {"id": b"\0"}}, rk=True)
    bench.make()
    assert bench.info()[0x14] == 0


@pytest.mark.check("MC-32")
@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("n" * 64, "n" * 64),
        ("n" * 65, "n" * 64),
        ("n" * 63 + "é", "n" * 63),
        ("é" * 40, "é" * 32),
        ("n" * 61 + "\N{KEY}", "n" * 61),
        ("", None),
        (None, None),
    ],
)
def test_names_are_cut_between_code_points(name: str | None, kept: str | None) -> None:
    assert stored_name(name) == kept


@pytest.mark.check("MC-32")
def test_long_names_are_kept_cut(bench: Bench) -> None:
    user = {"id": b"ada", "name": "n" * 63 + "é", "displayName": "é" * 40, "icon": "i"}
    made = bench.make({3: user}, rk=True)
    kept = bench.store.find(made.id)  # type: ignore[arg-type]
    assert kept is not None
    assert (kept.user_name, kept.user_display_name) == ("n" * 63, "é" * 32)


@pytest.mark.check("MC-32")
def test_a_long_rp_id_is_never_cut(bench: Bench) -> None:
    long = "ssh:" + "x" * 200
    made = bench.make({2: {"id": long}}, rk=True)
    assert made.data.rp_id_hash == hashlib.sha256(long.encode()).digest()
    assert bench.status(GA, get_request({1: long[:-1]})) == S.NO_CREDENTIALS


@pytest.mark.check("MC-36")
def test_ids_differ_and_survive_power(bench: Bench) -> None:
    made = [bench.make({3: {"id": bytes([n])}}, rk=n % 2 == 0) for n in range(8)]
    assert len({m.id for m in made}) == 8
    assert max(len(m.id) for m in made) <= bench.info()[8]
    bench.power_up()
    for m in made:
        body = bench.get({3: [descriptor(m.id)]})
        check_signature(m.data.key, body[3], body[2] + HASH)


ORDER: list[tuple[dict[int, Any], S]] = [
    ({8: b""}, S.PIN_NOT_SET),
    ({8: b"x", 9: 9}, S.INVALID_PARAMETER),
    ({4: [param(-999)]}, S.UNSUPPORTED_ALGORITHM),
    ({7: {"up": False}}, S.INVALID_OPTION),
    ({10: 1}, S.INVALID_PARAMETER),
    ({6: {"credProtect": 9}}, S.INVALID_OPTION),
]


@pytest.mark.check("MC-37")
@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_first_fault_decides(bench: Bench, first: int) -> None:
    faults: dict[int, Any] = {}
    for patch, _ in reversed(ORDER[first:]):
        faults |= patch
    assert bench.status(MC, make_request(faults)) == ORDER[first][1]


@pytest.mark.check("MC-37")
def test_later_faults_in_their_order(pinned: Platform) -> None:
    bench = pinned.bench
    made = bench.make()
    listed = {5: [descriptor(made.id)], 6: {"credProtect": 9}}
    bad_param = {8: b"x" * 16, 9: pinned.version}
    assert bench.status(MC, make_request(listed | bad_param)) == S.PIN_AUTH_INVALID
    assert bench.status(MC, make_request(listed)) == S.CREDENTIAL_EXCLUDED
    bench.person.will(Outcome.REFUSED)
    assert bench.status(MC, make_request({6: {"credProtect": 9}})) == S.OPERATION_DENIED
    assert bench.status(MC, make_request({6: {"credProtect": 9}})) == S.INVALID_OPTION
    assert bench.status(MC, make_request({6: {"credProtect": 9}, **listed, 7: {"rk": True}})) == (
        S.PUAT_REQUIRED
    )


def test_ctap_2_0_has_es256_alone() -> None:
    assert CTAP_2_0.algorithms == (ES256,)
    bench = Bench("ctap2.0")
    assert bench.status(MC, make_request({4: [param(EDDSA)]})) == S.UNSUPPORTED_ALGORITHM
