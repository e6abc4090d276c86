"""Checks CM-01 to CM-13, at the level of bytes, and python-fido2's own client as a judge."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from fido2.ctap2 import ClientPin, CredentialManagement, Ctap2
from fido2.ctap2.pin import PinProtocolV1, PinProtocolV2
from fido2.webauthn import (
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialType,
    PublicKeyCredentialUserEntity,
)
from tests.virtual.core.client import (
    EDDSA,
    HASH,
    MISSING,
    PIN,
    RP,
    Bench,
    Platform,
    S,
    case,
    descriptor,
    param,
    patched,
)
from tests.virtual.core.manager import (
    CM,
    CM_PERMISSION,
    CM_PREVIEW,
    GA_PERMISSION,
    HASH_PARAMS,
    MC_PERMISSION,
    PIN_CODE,
    RP_HASH,
    Manager,
    make,
)
from tests.virtual.fido2_device import LinkDevice

from fidokit.virtual.core.profile import CTAP_2_1, CTAP_2_3
from fidokit.virtual.token import VirtualToken

# --- the form and the authorization --------------------------------------------------------------


@pytest.mark.check("CM-01")
@pytest.mark.parametrize("sub", [1, 2, 4, 6, 7])
def test_without_a_param_a_token_is_required(bench: Bench, sub: int) -> None:
    assert bench.status(CM, {1: sub}) == S.PUAT_REQUIRED


@pytest.mark.parametrize(
    ("patch", "status"),
    [
        case("CM-01", {4: MISSING}, S.PUAT_REQUIRED),
        case("CM-01", {3: MISSING}, S.MISSING_PARAMETER),
        case("CM-01", {3: 3}, S.INVALID_PARAMETER),
        case("CM-01", {3: 0}, S.INVALID_PARAMETER),
        case("CM-01", {4: bytes(32)}, S.PIN_AUTH_INVALID),
        case("CM-01 TOK-09", {4: b""}, S.PIN_AUTH_INVALID),
        case("CM-02", {1: MISSING}, S.MISSING_PARAMETER),
        case("CM-02", {1: 0}, S.INVALID_SUBCOMMAND),
        case("CM-02", {1: 8}, S.INVALID_SUBCOMMAND),
        case("CM-02", {1: 2**40}, S.INVALID_SUBCOMMAND),
        case("CM-02", {2: MISSING}, S.MISSING_PARAMETER),
        case("CM-02", {2: {}}, S.MISSING_PARAMETER),
        case("CM-02", {2: {2: RP_HASH}}, S.MISSING_PARAMETER),
        case("CBR-07", {1: "4"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {1: -4}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {2: [1]}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {2: {1: "x"}}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {3: b"2"}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-07", {4: 1}, S.CBOR_UNEXPECTED_TYPE),
        case("CBR-08", {9: "later versions"}, S.OK),
    ],
)
def test_faults_of_a_request(manager: Manager, patch: dict[int, Any], status: int) -> None:
    request = patched(manager.request(4, HASH_PARAMS), patch)
    assert manager.bench.status(CM, request) == status


@pytest.mark.parametrize(
    ("sub", "params", "status"),
    [
        case("CM-02", 6, {}, S.MISSING_PARAMETER),
        case("CM-02 CBR-09", 6, {2: {"type": "public-key"}}, S.MISSING_PARAMETER),
        case("CM-02", 6, {2: {"id": "x", "type": "public-key"}}, S.CBOR_UNEXPECTED_TYPE),
        case("CM-02", 7, {2: descriptor(b"x")}, S.MISSING_PARAMETER),
        case("CM-02", 7, {3: {"id": b"x"}}, S.MISSING_PARAMETER),
        case("CM-02", 7, {2: descriptor(b"x"), 3: {"name": "x"}}, S.MISSING_PARAMETER),
        case("CM-02", 7, {2: descriptor(b"x"), 3: {"id": b"", "name": 1}}, 0x11),
    ],
)
def test_faults_of_inner_parameters(manager: Manager, sub: int, params: Any, status: int) -> None:
    assert manager.status(sub, params) == status


@pytest.mark.check("TOK-11")
def test_the_mac_covers_the_parameters(manager: Manager) -> None:
    other = manager.request(4, {1: bytes(32)})
    assert manager.bench.status(CM, other | {2: HASH_PARAMS}) == S.PIN_AUTH_INVALID
    bare = manager.request(4)
    assert manager.bench.status(CM, bare | {2: HASH_PARAMS}) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-08")
@pytest.mark.parametrize("permissions", [MC_PERMISSION, GA_PERMISSION, 3, 0x20])
def test_other_permissions_do_not_do(pinned: Platform, permissions: int) -> None:
    make(pinned)
    manager = Manager(pinned)
    manager.token = pinned.token(PIN_CODE, permissions)
    assert manager.status(1) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-08")
def test_a_token_of_getpintoken_does_not_do(pinned: Platform) -> None:
    manager = Manager(pinned)
    sealed = pinned.bench.ok(PIN, pinned.old_token_request(PIN_CODE))[2]
    manager.token = pinned.open(sealed)
    assert manager.status(1) == S.PIN_AUTH_INVALID


@pytest.mark.check("TOK-12")
def test_a_failing_mac_spends_nothing(manager: Manager) -> None:
    retries = manager.platform.retries()
    for _ in range(5):
        manager.bench.status(CM, manager.request(1, token=bytes(32)))
    assert manager.platform.retries() == retries
    assert manager.status(1) == S.OK


# --- counting ------------------------------------------------------------------------------------


@pytest.mark.check("CM-03", "GI-09")
def test_metadata_counts(pinned: Platform) -> None:
    capacity = pinned.bench.profile.max_resident
    for existing in range(3):
        body = Manager(pinned).ok(1)
        assert body == {1: existing, 2: capacity - existing}
        assert body[2] > 1
        make(pinned, user=bytes([existing]))


@pytest.mark.check("CM-03", "CM-04")
@pytest.mark.parametrize("sub", [1, 2])
def test_a_bound_token_may_not_look_at_everything(manager: Manager, sub: int) -> None:
    assert Manager(manager.platform, RP).status(sub) == S.PIN_AUTH_INVALID


@pytest.mark.check("CM-13")
def test_what_is_not_resident_is_never_listed(pinned: Platform) -> None:
    auth = pinned.make_auth(pinned.token(PIN_CODE, MC_PERMISSION, RP))
    made = pinned.bench.make(auth)
    manager = Manager(pinned)
    assert manager.ok(1)[1] == 0
    assert manager.status(2) == S.NO_CREDENTIALS
    assert manager.status(4, HASH_PARAMS) == S.NO_CREDENTIALS
    assert manager.status(6, {2: descriptor(made.id)}) == S.NO_CREDENTIALS


# --- relying parties -----------------------------------------------------------------------------


@pytest.mark.check("CM-04")
def test_no_credentials_no_relying_parties(pinned: Platform) -> None:
    assert Manager(pinned).status(2) == S.NO_CREDENTIALS


@pytest.mark.check("CM-04", "CM-05")
def test_relying_parties(manager: Manager) -> None:
    first, second = manager.ok(2), manager.next(3)
    assert first == {3: {"id": RP}, 4: RP_HASH, 5: 2}
    assert second == {3: {"id": "example.org"}, 4: hashlib.sha256(b"example.org").digest()}
    assert manager.next_status(3) == S.NOT_ALLOWED


@pytest.mark.check("CM-04")
def test_a_long_rp_id_comes_whole(pinned: Platform) -> None:
    rp = "ssh:" + "x" * 200
    make(pinned, rp)
    assert Manager(pinned).ok(2)[3] == {"id": rp}


@pytest.mark.check("CM-05", "CM-07")
@pytest.mark.parametrize("sub", [3, 5])
def test_next_without_begin(manager: Manager, sub: int) -> None:
    assert manager.next_status(sub) == S.NOT_ALLOWED


# --- credentials ---------------------------------------------------------------------------------


@pytest.mark.check("CM-06")
def test_a_credential_is_listed_as_it_was_made(pinned: Platform) -> None:
    made = make(pinned, patch={4: [param(EDDSA)]})
    assert Manager(pinned).ok(4, HASH_PARAMS) == {
        6: {"id": b"ada", "name": "Ada", "displayName": "Countess"},
        7: {"id": made.id, "type": "public-key"},
        8: made.data.key,
        9: 1,
        10: 1,
        12: False,
    }


@pytest.mark.check("CM-06", "CPR-03")
@pytest.mark.parametrize("level", [1, 2, 3])
def test_the_protection_is_listed(pinned: Platform, level: int) -> None:
    make(pinned, patch={6: {"credProtect": level}})
    assert Manager(pinned).ok(4, HASH_PARAMS)[10] == level


@pytest.mark.check("CM-06")
def test_names_that_are_absent_stay_absent(pinned: Platform) -> None:
    make(pinned, patch={3: {"id": b"", "name": ""}})
    assert Manager(pinned).ok(4, HASH_PARAMS)[6] == {"id": b""}


@pytest.mark.check("CM-07")
def test_the_next_credentials_come_without_a_total(manager: Manager) -> None:
    first, second = manager.ok(4, HASH_PARAMS), manager.next(5)
    assert first[9] == 2
    assert sorted(second) == [6, 7, 8, 10, 12]
    assert {first[6]["id"], second[6]["id"]} == {b"ada", b"bob"}
    assert manager.next_status(5) == S.NOT_ALLOWED


@pytest.mark.check("CM-08")
def test_a_relying_party_without_credentials(manager: Manager) -> None:
    assert manager.status(4, {1: bytes(32)}) == S.NO_CREDENTIALS


@pytest.mark.check("CM-08")
@pytest.mark.parametrize("rp_id_hash", [b"", RP_HASH[:31], RP_HASH + b"\0"])
def test_a_hash_of_another_length(manager: Manager, rp_id_hash: bytes) -> None:
    assert manager.status(4, {1: rp_id_hash}) == S.INVALID_PARAMETER


@pytest.mark.check("CM-08")
def test_a_token_bound_to_this_rp_is_served_and_others_are_not(manager: Manager) -> None:
    assert Manager(manager.platform, RP).status(4, HASH_PARAMS) == S.OK
    stranger = Manager(manager.platform, "example.com")
    assert stranger.status(4, HASH_PARAMS) == S.PIN_AUTH_INVALID
    own = {1: hashlib.sha256(b"example.com").digest()}
    assert stranger.status(4, own) == S.NO_CREDENTIALS


# --- what ends an enumeration --------------------------------------------------------------------


@pytest.mark.check("CM-09")
@pytest.mark.parametrize(("begin", "more"), [(2, 3), (4, 5)])
@pytest.mark.parametrize(
    "disturb",
    [
        lambda m: m.bench.info(),
        lambda m: m.bench.call(0x0B),
        lambda m: m.bench.clock.advance(30_001),
        lambda m: m.bench.authenticator.power_cycle(),
        lambda m: m.platform.token(PIN_CODE, CM_PERMISSION),
        lambda m: m.ok(1),
        lambda m: m.status(6, {2: descriptor(b"unknown")}),
        lambda m: m.bench.status(CM, {1: 2}),
    ],
    ids=["info", "selection", "30s", "power", "token", "metadata", "delete", "36"],
)
def test_an_enumeration_is_dropped(manager: Manager, begin: int, more: int, disturb: Any) -> None:
    manager.ok(begin, HASH_PARAMS if begin == 4 else None)
    disturb(manager)
    assert manager.next_status(more) == S.NOT_ALLOWED


@pytest.mark.check("CM-09")
@pytest.mark.parametrize(("begin", "more"), [(2, 3), (4, 5)])
def test_an_enumeration_belongs_to_its_channel(manager: Manager, begin: int, more: int) -> None:
    manager.ok(begin, HASH_PARAMS if begin == 4 else None)
    assert manager.next_status(more, channel=7) == S.NOT_ALLOWED


@pytest.mark.check("CM-09")
def test_the_next_of_the_other_enumeration_ends_this_one(manager: Manager) -> None:
    manager.ok(2)
    assert manager.next_status(5) == S.NOT_ALLOWED
    assert manager.next_status(3) == S.NOT_ALLOWED


@pytest.mark.check("CM-09")
def test_a_new_begin_starts_over(manager: Manager) -> None:
    first = manager.ok(4, HASH_PARAMS)
    manager.next(5)
    assert manager.ok(4, HASH_PARAMS) == first
    assert manager.next(5)[6] != first[6]


@pytest.mark.check("CM-09")
def test_nearly_thirty_seconds_are_in_time(manager: Manager) -> None:
    manager.ok(2)
    manager.bench.clock.advance(29_999)
    assert manager.next_status(3) == S.OK


# --- numbers -------------------------------------------------------------------------------------


@pytest.mark.check("CM-13")
def test_the_preview_number_is_refused_where_it_is_not_shown() -> None:
    platform = Platform(Bench(CTAP_2_3.with_options(credentialMgmtPreview=None)))
    platform.set_pin(PIN_CODE)
    request = Manager(platform).request(1)
    assert platform.bench.status(CM_PREVIEW, request) == S.INVALID_COMMAND


@pytest.mark.check("CM-13")
def test_the_preview_number_does_the_same_where_it_is_shown() -> None:
    bench = Bench(CTAP_2_1)
    assert bench.info()[4]["credentialMgmtPreview"] is True
    platform = Platform(bench)
    platform.set_pin(PIN_CODE)
    make(platform)
    manager = Manager(platform)
    assert bench.ok(CM_PREVIEW, manager.request(1)) == manager.ok(1)
    bench.ok(CM_PREVIEW, manager.request(2))
    assert bench.status(CM_PREVIEW, {1: 3}) == S.NOT_ALLOWED


@pytest.mark.check("CM-13")
def test_models_without_the_feature_refuse_the_command() -> None:
    bench = Bench(CTAP_2_3.with_options(credMgmt=None))
    assert bench.status(CM, {1: 1}) == S.INVALID_COMMAND


# --- the judge -----------------------------------------------------------------------------------


PAIRS = [(f"ssh:{rp}", bytes([user])) for rp in range(3) for user in range(rp + 1)]


@pytest.mark.parametrize("protocol", [PinProtocolV1, PinProtocolV2])
def test_python_fido2_manages_the_token(protocol: type[Any]) -> None:
    with VirtualToken() as token:
        ctap = Ctap2(LinkDevice(token.link()))
        client = ClientPin(ctap, protocol())
        client.set_pin(PIN_CODE)
        made = {(rp, user): made_by_fido2(ctap, client, rp, user) for rp, user in PAIRS}
        permission = ClientPin.PERMISSION.CREDENTIAL_MGMT
        manager = CredentialManagement(
            ctap, client.protocol, client.get_pin_token(PIN_CODE, permission)
        )
        seen = {
            (party[3]["id"], credential[6]["id"]): credential[7]["id"]
            for party in manager.enumerate_rps()
            for credential in manager.enumerate_creds(party[4])
        }
        assert seen == made
        for (_, user), credential_id in list(made.items())[:3]:
            named = PublicKeyCredentialDescriptor(
                type=PublicKeyCredentialType.PUBLIC_KEY, id=credential_id
            )
            manager.update_user_info(named, PublicKeyCredentialUserEntity(id=user, name="new"))
            manager.delete_cred(named)
        assert manager.get_metadata()[1] == len(PAIRS) - 3


def made_by_fido2(ctap: Ctap2, client: ClientPin, rp: str, user: bytes) -> bytes:
    token = client.get_pin_token(PIN_CODE, ClientPin.PERMISSION.MAKE_CREDENTIAL, rp)
    made = ctap.make_credential(
        HASH,
        {"id": rp},
        {"id": user, "name": "old"},
        [param(EDDSA)],
        options={"rk": True},
        pin_uv_param=client.protocol.authenticate(token, HASH),
        pin_uv_protocol=client.protocol.VERSION,
    )
    assert made.auth_data.credential_data is not None
    return made.auth_data.credential_data.credential_id
