"""Extensions in general, and those of a few lines (EXT-*, CPR-*, CBL-*, MPL-*, PCP-*, UVM-*)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    GA,
    GNA,
    MC,
    RESET,
    RP,
    AuthData,
    Bench,
    Platform,
    S,
    any_of,
    case,
    descriptor,
    encode,
    get_request,
    make_request,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.types import CredProtect
from fidokit.virtual.core.extensions.table import EXTENSIONS
from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3, PROFILES

ALL = {"credProtect": 2, "hmac-secret": True}


@pytest.mark.check("EXT-01")
@pytest.mark.parametrize(
    ("asked", "outputs"),
    [
        ({}, None),
        ({"unknown": 1}, None),
        case("HMS-01", {"hmac-secret": False}, None),
        case("HMS-01", {"hmac-secret": True}, {"hmac-secret": True}),
        ({**ALL, "unknown": []}, ALL),
    ],
)
def test_outputs_only_for_what_was_asked(bench: Bench, asked: Any, outputs: Any) -> None:
    data = bench.make({6: asked}).data
    assert data.extensions == outputs
    assert bool(data.flags & 0x80) is (outputs is not None)


@pytest.mark.parametrize(
    "asked",
    [
        *[case("EXT-01", {"credProtect": value}) for value in ("2", True, None, b"", -1)],
        *[case("HMS-01 EXT-01", {"hmac-secret": value}) for value in any_of(1, "yes", None, {})],
    ],
)
def test_wrong_types(bench: Bench, asked: Any) -> None:
    assert bench.status(MC, make_request({6: asked})) == S.CBOR_UNEXPECTED_TYPE
    assert bench.touches() == 0


@pytest.mark.check("EXT-01")
def test_a_model_without_the_extension_does_not_look() -> None:
    bench = Bench(replace(CTAP_2_3, extensions=()))
    made = bench.make({6: {"credProtect": "x", "hmac-secret": 7}}, rk=True)
    assert made.data.flags == 0x41
    assert AuthData.parse(bench.get({4: {"hmac-secret": 7}})[2]).flags == 0x01


@pytest.mark.check("EXT-01")
def test_make_credentials_extensions_mean_nothing_in_assertions(bench: Bench) -> None:
    bench.make(rk=True)
    assert AuthData.parse(bench.get({4: {"credProtect": "x"}})[2]).flags == 0x01


def test_profiles_list_known_extensions() -> None:
    for model in PROFILES.values():
        assert set(model.extensions) <= set(EXTENSIONS)


@pytest.mark.check("CPR-01")
@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("rk", [True, False])
def test_levels_are_echoed(bench: Bench, level: int, rk: bool) -> None:
    assert bench.make({6: {"credProtect": level}}, rk=rk).data.extensions == {"credProtect": level}


@pytest.mark.check("CPR-01")
@pytest.mark.parametrize("level", [0, 4, 255])
def test_other_numbers(bench: Bench, level: int) -> None:
    request = make_request({6: {"credProtect": level}}, rk=True)
    assert bench.status(MC, request) == S.INVALID_OPTION
    assert bench.store.count() == 0


@pytest.mark.check("CPR-02")
@pytest.mark.parametrize(
    ("level", "by_list", "without_list"),
    [(None, 0, 0), (1, 0, 0), (2, 0, S.NO_CREDENTIALS), (3, S.NO_CREDENTIALS, S.NO_CREDENTIALS)],
)
@pytest.mark.parametrize("up", [True, False])
def test_who_finds_what(
    sensed: Platform, level: int | None, by_list: int, without_list: int, up: bool
) -> None:
    bench = sensed.bench
    asked = {} if level is None else {"credProtect": level}
    listed = {3: [descriptor(bench.make({6: asked}, rk=True, uv=True).id)]}
    assert bench.status(GA, get_request(listed, up=up)) == by_list
    assert bench.status(GA, get_request(up=up)) == without_list
    assert bench.status(GA, get_request(listed, up=up, uv=True)) == 0
    assert bench.status(GA, get_request(up=up, uv=True)) == 0


@pytest.mark.check("CPR-02")
@pytest.mark.parametrize(("level", "status"), [(1, 0), (2, 0), (3, S.NO_CREDENTIALS)])
def test_wrapped_credentials_carry_their_level(sensed: Platform, level: int, status: int) -> None:
    bench = sensed.bench
    listed = {3: [descriptor(bench.make({6: {"credProtect": level}}).id)]}
    assert bench.status(GA, get_request(listed)) == status
    assert bench.status(GA, get_request(listed, uv=True)) == 0


@pytest.mark.check("CPR-02")
def test_a_protected_one_in_a_list_gives_way(bench: Bench) -> None:
    hidden = bench.make({6: {"credProtect": 3}}, rk=True)
    shown = bench.make({3: {"id": b"bob"}}, rk=True)
    listed = {3: [descriptor(hidden.id), descriptor(shown.id)]}
    assert bench.get(listed)[1]["id"] == shown.id
    body = bench.get()
    assert (body[1]["id"], 5 in body) == (shown.id, False)


@pytest.mark.check("CPR-03", "CM-06")
@pytest.mark.parametrize(("asked", "stored"), [({}, 1), ({"credProtect": 3}, 3)])
def test_the_level_is_stored(bench: Bench, asked: Any, stored: int) -> None:
    made = bench.make({6: asked}, rk=True)
    credential = bench.store.find(made.id)  # type: ignore[arg-type]
    assert credential is not None
    assert credential.cred_protect is CredProtect(stored)


RP_HASH = AuthData.parse(Bench().make().raw_data).rp_id_hash
CM = 0x04


def asked(inputs: dict[str, Any], **more: Any) -> dict[int, Any]:
    """A getAssertion patch."""
    return {4: inputs, **{int(key[1:]): value for key, value in more.items()}}


def outputs(body: Any) -> Any:
    return AuthData.parse(body[2]).extensions


def listed(platform: Platform) -> dict[int, Any]:
    """The one credential of the RP as credentialManagement shows it."""
    inner = {1: RP_HASH}
    message = b"\x04" + encode(inner)
    mac = platform.mac(platform.token(PIN_CODE, CM), message)
    body: dict[int, Any] = platform.bench.ok(0x0A, {1: 4, 2: inner, 3: platform.version, 4: mac})
    return body


WRONG = [
    *[case("EXT-01 CBL-01", MC, {"credBlob": value}) for value in ("x", 1, True, None)],
    *[case("EXT-01 CBL-02", GA, {"credBlob": value}) for value in (b"x", 1, None)],
    *[case("LBK-02", command, {"largeBlobKey": value})
      for command in (MC, GA) for value in (1, b"", "yes", None)],
    *[case("EXT-01 TPP-01", command, {"thirdPartyPayment": value})
      for command in (MC, GA) for value in (1, "yes", None)],
]  # fmt: skip


@pytest.mark.parametrize(("command", "inputs"), WRONG)
def test_wrong_types_of_what_a_credential_keeps(bench: Bench, command: int, inputs: Any) -> None:
    bench.make(rk=True)
    request = make_request({6: inputs}, rk=True) if command == MC else get_request({4: inputs})
    bench.touches()
    assert bench.status(command, request) == S.CBOR_UNEXPECTED_TYPE
    assert bench.touches() == 0
    assert bench.store.count() == 1


# --- credBlob ------------------------------------------------------------------------------------


@pytest.mark.check("CBL-01", "CBL-02")
@pytest.mark.parametrize(
    ("blob", "kept"), [(b"", True), (b"x", True), (b"x" * 32, True), (b"x" * 33, False)]
)
def test_a_blob_is_kept_up_to_the_models_limit(bench: Bench, blob: bytes, kept: bool) -> None:
    made = bench.make({6: {"credBlob": blob}}, rk=True)
    assert made.data.extensions == {"credBlob": kept}
    bench.power_up()
    assert outputs(bench.get(asked({"credBlob": True}))) == {"credBlob": blob if kept else b""}


@pytest.mark.check("CBL-01", "GI-06")
def test_the_limit_is_what_get_info_says() -> None:
    bench = Bench(replace(CTAP_2_3, max_cred_blob=64))
    made = bench.make({6: {"credBlob": bytes(bench.info()[0x0F])}}, rk=True)
    assert made.data.extensions == {"credBlob": True}


@pytest.mark.check("CBL-01", "CBL-02")
def test_a_wrapped_credential_keeps_none(bench: Bench) -> None:
    made = bench.make({6: {"credBlob": b"x"}})
    assert made.data.extensions == {"credBlob": False}
    body = bench.get(asked({"credBlob": True}, _3=[descriptor(made.id)]))
    assert outputs(body) == {"credBlob": b""}


@pytest.mark.check("CBL-02", "EXT-01")
def test_no_output_where_none_is_wanted(bench: Bench) -> None:
    bench.make({6: {"credBlob": b"x"}}, rk=True)
    body = bench.get(asked({"credBlob": False}))
    assert outputs(body) is None
    assert not body[2][32] & 0x80


@pytest.mark.check("CBL-02")
def test_the_same_user_again_starts_without_a_blob(bench: Bench) -> None:
    bench.make({6: {"credBlob": b"x"}}, rk=True)
    bench.make(rk=True)
    assert outputs(bench.get(asked({"credBlob": True}))) == {"credBlob": b""}


# --- largeBlobKey --------------------------------------------------------------------------------


@pytest.mark.check("LBK-01", "MC-01", "GA-01")
def test_a_key_stands_beside_what_is_signed(bench: Bench) -> None:
    made = bench.make({6: {"largeBlobKey": True}}, rk=True)
    assert set(made.body) == {1, 2, 3, 5}
    assert len(made.body[5]) == 32
    assert made.data.extensions is None
    assert not made.data.flags & 0x80
    assert made.body[5] not in made.raw_data
    bench.power_up()
    body = bench.get(asked({"largeBlobKey": True}))
    assert (body[7], set(body)) == (made.body[5], {1, 2, 3, 4, 7})
    assert outputs(body) is None
    assert 7 not in bench.get()


@pytest.mark.check("LBK-01")
def test_keys_are_new_each_time(bench: Bench) -> None:
    keys = {bench.make({6: {"largeBlobKey": True}}, rk=True).body[5] for _ in range(5)}
    assert len(keys) == 5


@pytest.mark.check("LBK-01")
@pytest.mark.parametrize("rk", [True, False])
def test_a_credential_without_a_key(bench: Bench, rk: bool) -> None:
    made = bench.make(rk=rk)
    assert 5 not in made.body
    assert 7 not in bench.get(asked({"largeBlobKey": True}, _3=[descriptor(made.id)]))


@pytest.mark.check("LBK-02")
@pytest.mark.parametrize(("wanted", "rk"), [(False, True), (True, False), (False, False)])
def test_a_key_that_cannot_be(bench: Bench, wanted: bool, rk: bool) -> None:
    request = make_request({6: {"largeBlobKey": wanted}}, rk=rk)
    assert bench.status(MC, request) == S.INVALID_OPTION
    assert bench.store.count() == 0


@pytest.mark.check("LBK-02")
def test_a_key_that_is_not_wanted(bench: Bench) -> None:
    bench.make({6: {"largeBlobKey": True}}, rk=True)
    assert bench.status(GA, get_request({4: {"largeBlobKey": False}})) == S.INVALID_OPTION


@pytest.mark.check("LBK-01", "CM-06")
def test_credential_management_tells_the_key(pinned: Platform) -> None:
    token = pinned.token(PIN_CODE, 1)
    patch = {6: {"largeBlobKey": True}} | pinned.make_auth(token)
    made = pinned.bench.make(patch, rk=True)
    assert listed(pinned)[0x0B] == made.body[5]


@pytest.mark.check("CM-06")
def test_a_credential_without_a_key_is_listed_without(pinned: Platform) -> None:
    pinned.bench.make(pinned.make_auth(pinned.token(PIN_CODE, 1)), rk=True)
    assert 0x0B not in listed(pinned)


# --- thirdPartyPayment ---------------------------------------------------------------------------


@pytest.mark.check("TPP-01")
@pytest.mark.parametrize("rk", [True, False])
@pytest.mark.parametrize("allowed", [True, False, None])
def test_payment(bench: Bench, rk: bool, allowed: bool | None) -> None:
    inputs = {} if allowed is None else {"thirdPartyPayment": allowed}
    made = bench.make({6: inputs}, rk=rk)
    assert made.data.extensions is None
    bench.power_up()
    body = bench.get(asked({"thirdPartyPayment": True}, _3=[descriptor(made.id)]))
    assert outputs(body) == {"thirdPartyPayment": bool(allowed)}
    quiet = bench.get(asked({"thirdPartyPayment": False}, _3=[descriptor(made.id)]))
    assert outputs(quiet) is None


@pytest.mark.check("MC-36", "TPP-01", "CPR-02")
def test_flags_do_not_make_a_wrapped_id_longer(bench: Bench) -> None:
    plain = bench.make()
    rich = bench.make({6: {"thirdPartyPayment": True, "credProtect": 3, "hmac-secret": True}})
    assert len(plain.id) == len(rich.id) <= bench.info()[8]
    request = get_request({3: [descriptor(rich.id)]})
    assert bench.status(GA, request) == S.NO_CREDENTIALS


@pytest.mark.check("TPP-01", "CM-06")
@pytest.mark.parametrize("allowed", [True, False])
def test_credential_management_tells_it(pinned: Platform, allowed: bool) -> None:
    patch = {6: {"thirdPartyPayment": allowed}} | pinned.make_auth(pinned.token(PIN_CODE, 1))
    pinned.bench.make(patch, rk=True)
    assert listed(pinned)[0x0C] is allowed


@pytest.mark.check("CM-06")
def test_a_model_that_does_not_know_it_lists_nothing() -> None:
    platform = Platform(Bench(CTAP_2_1))
    platform.set_pin(PIN_CODE)
    platform.bench.make(platform.make_auth(platform.token(PIN_CODE, 1)), rk=True)
    assert 0x0C not in listed(platform)


# --- several credentials, several extensions -----------------------------------------------------

KEPT = {"credBlob": True, "largeBlobKey": True, "thirdPartyPayment": True}


@pytest.mark.check("GN-05")
def test_each_next_assertion_has_its_own(bench: Bench) -> None:
    made = {}
    for n in range(4):
        inputs = {"credBlob": bytes([n]), "thirdPartyPayment": n % 2 == 0}
        inputs |= {"largeBlobKey": True} if n != 2 else {}
        user = bytes([n])
        made[user] = bench.make({3: {"id": user}, 6: inputs}, rk=True).body.get(5)
    bodies = [bench.get({4: KEPT}), *[bench.ok(GNA) for _ in range(3)]]
    assert [body[4]["id"] for body in bodies] == [b"\3", b"\2", b"\1", b"\0"]
    for body in bodies:
        user = body[4]["id"]
        assert body.get(7) == made[user]
        assert outputs(body) == {"credBlob": user, "thirdPartyPayment": user[0] % 2 == 0}


@pytest.mark.check("EXT-01")
def test_a_model_without_them_does_not_look() -> None:
    bench = Bench(replace(CTAP_2_3, extensions=()))
    made = bench.make({6: {"credBlob": 1, "largeBlobKey": 1, "thirdPartyPayment": 1}}, rk=True)
    assert (made.data.flags, set(made.body)) == (0x41, {1, 2, 3})
    assert set(bench.get({4: KEPT})) == {1, 2, 3, 4}


@pytest.mark.check("RST-05")
def test_a_reset_takes_it_all(bench: Bench) -> None:
    bench.make({6: {"credBlob": b"x", "largeBlobKey": True}}, rk=True)
    bench.ok(RESET)
    assert bench.status(GA, get_request({4: KEPT})) == S.NO_CREDENTIALS
    bench.make(rk=True)
    body = bench.get({4: KEPT})
    assert (outputs(body), 7 in body) == ({"credBlob": b"", "thirdPartyPayment": False}, False)


BOTH = {"minPinLength": True, "pinComplexityPolicy": True}


def told(bench: Bench, *rp_ids: str, **state: Any) -> None:
    """The owner names the relying parties that may know."""
    bench.authenticator.token.save(min_pin_rp_ids=rp_ids, **state)


@pytest.mark.parametrize(
    "inputs",
    [
        case("EXT-01 MPL-01", {"minPinLength": 1}),
        case("EXT-01 MPL-01", {"minPinLength": None}),
        case("EXT-01 PCP-01", {"pinComplexityPolicy": "yes"}),
        case("EXT-01 UVM-01", {"uvm": 2}),
    ],
)
def test_wrong_types_of_what_is_told(bench: Bench, inputs: Any) -> None:
    told(bench, RP)
    assert bench.status(MC, make_request({6: inputs})) == S.CBOR_UNEXPECTED_TYPE


@pytest.mark.check("MPL-01")
@pytest.mark.parametrize("length", [4, 9, 63])
@pytest.mark.parametrize("rk", [True, False])
def test_the_minimum_length(bench: Bench, length: int, rk: bool) -> None:
    told(bench, "ssh:other", RP, min_pin_length=length)
    made = bench.make({6: {"minPinLength": True}}, rk=rk)
    assert made.data.extensions == {"minPinLength": bench.info()[0x0D]} == {"minPinLength": length}


@pytest.mark.check("PCP-01")
@pytest.mark.parametrize("policy", [True, False])
def test_the_complexity_policy(bench: Bench, policy: bool) -> None:
    told(bench, RP, pin_complexity=policy)
    made = bench.make({6: {"pinComplexityPolicy": True}})
    assert made.data.extensions == {"pinComplexityPolicy": policy}
    assert bench.info()[0x1B] is policy


@pytest.mark.check("MPL-01", "PCP-01")
@pytest.mark.parametrize("listed", [(), ("ssh:other",), ("ssh:",), (RP + " ",)])
def test_others_learn_nothing(bench: Bench, listed: tuple[str, ...]) -> None:
    told(bench, *listed, pin_complexity=True)
    made = bench.make({6: BOTH})
    assert (made.data.extensions, made.data.flags) == (None, 0x41)


@pytest.mark.check("EXT-01")
def test_nor_those_who_do_not_ask(bench: Bench) -> None:
    told(bench, RP)
    assert bench.make({6: dict.fromkeys((*BOTH, "uvm"), False)}).data.extensions is None
    bench.make(rk=True)
    assert AuthData.parse(bench.get({4: BOTH})[2]).extensions is None


# --- uvm -----------------------------------------------------------------------------------------

PRESENCE, FINGERPRINT, PIN = ([[method, 1, 1]] for method in (0x001, 0x002, 0x800))


def rows(body: Any) -> Any:
    found = AuthData.parse(body[2]).extensions["uvm"]
    assert 1 <= len(found) <= 3
    return found


@pytest.mark.check("UVM-01")
def test_presence_alone(bench: Bench) -> None:
    made = bench.make({6: {"uvm": True}}, rk=True)
    assert rows(made.body) == PRESENCE
    assert rows(bench.get({4: {"uvm": True}})) == PRESENCE


@pytest.mark.check("UVM-01")
def test_a_pin(pinned: Platform) -> None:
    patch = {6: {"uvm": True}} | pinned.make_auth(pinned.token(PIN_CODE, 1))
    assert rows(pinned.bench.make(patch, rk=True).body) == PIN
    used = {4: {"uvm": True}} | pinned.get_auth(pinned.token(PIN_CODE, 2))
    assert rows(pinned.bench.get(used)) == PIN


@pytest.mark.check("UVM-01")
def test_a_sensor_by_option_and_by_token(sensed: Platform) -> None:
    bench = sensed.bench
    assert rows(bench.make({6: {"uvm": True}}, rk=True, uv=True).body) == FINGERPRINT
    assert rows(bench.get({4: {"uvm": True}}, uv=True)) == FINGERPRINT
    patch = {6: {"uvm": True}} | sensed.make_auth(sensed.uv_token(1))
    assert rows(bench.make(patch).body) == FINGERPRINT
    late = {4: {"uvm": True}} | sensed.get_auth(sensed.uv_token(2))
    bench.clock.advance(29_000)
    assert rows(bench.get(late)) == FINGERPRINT


@pytest.mark.check("UVM-01")
def test_a_pin_on_a_token_that_has_a_sensor(sensed: Platform) -> None:
    sensed.set_pin(PIN_CODE)
    patch = {6: {"uvm": True}} | sensed.make_auth(sensed.token(PIN_CODE, 1))
    assert rows(sensed.bench.make(patch).body) == PIN
