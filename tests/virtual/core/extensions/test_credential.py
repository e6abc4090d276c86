"""What extensions put into a credential: credBlob, largeBlobKey, thirdPartyPayment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import (
    GA,
    GNA,
    MC,
    RESET,
    AuthData,
    Bench,
    Platform,
    S,
    case,
    descriptor,
    encode,
    get_request,
    make_request,
)
from tests.virtual.core.conftest import PIN_CODE

from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3

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
def test_wrong_types(bench: Bench, command: int, inputs: Any) -> None:
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

ALL = {"credBlob": True, "largeBlobKey": True, "thirdPartyPayment": True}


@pytest.mark.check("GN-05")
def test_each_next_assertion_has_its_own(bench: Bench) -> None:
    made = {}
    for n in range(4):
        inputs = {"credBlob": bytes([n]), "thirdPartyPayment": n % 2 == 0}
        inputs |= {"largeBlobKey": True} if n != 2 else {}
        user = bytes([n])
        made[user] = bench.make({3: {"id": user}, 6: inputs}, rk=True).body.get(5)
    bodies = [bench.get({4: ALL}), *[bench.ok(GNA) for _ in range(3)]]
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
    assert set(bench.get({4: ALL})) == {1, 2, 3, 4}


@pytest.mark.check("RST-05")
def test_a_reset_takes_it_all(bench: Bench) -> None:
    bench.make({6: {"credBlob": b"x", "largeBlobKey": True}}, rk=True)
    bench.ok(RESET)
    assert bench.status(GA, get_request({4: ALL})) == S.NO_CREDENTIALS
    bench.make(rk=True)
    body = bench.get({4: ALL})
    assert (outputs(body), 7 in body) == ({"credBlob": b"", "thirdPartyPayment": False}, False)
