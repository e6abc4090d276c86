"""getInfo, check by check (GI-*)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.virtual.core.client import INFO, MC, Bench, Platform, S, make_request
from tests.virtual.core.conftest import PIN_CODE

from fidokit.types import CoseAlg
from fidokit.virtual.core.ports import Outcome
from fidokit.virtual.core.profile import (
    CTAP_2_0,
    CTAP_2_1,
    CTAP_2_3,
    CTAP_2_3_LARGE_BLOB,
    PROFILES,
    U2F,
    Profile,
)

MODELS = [CTAP_2_0, CTAP_2_1, CTAP_2_3]
KNOWN_OPTIONS = {
    "ep",
    "rk",
    "up",
    "uv",
    "plat",
    "uvAcfg",
    "alwaysUv",
    "credMgmt",
    "perCredMgmtRO",
    "authnrCfg",
    "bioEnroll",
    "uvBioEnroll",
    "clientPin",
    "largeBlobs",
    "pinUvAuthToken",
    "setMinPINLength",
    "makeCredUvNotRqd",
    "noMcGaPermissionsWithClientPin",
    "credentialMgmtPreview",
    "userVerificationMgmtPreview",
}


@pytest.fixture(params=MODELS, ids=lambda model: model.name)
def model(request: pytest.FixtureRequest) -> Profile:
    chosen: Profile = request.param
    return chosen


def info_of(model: Profile, **kw: bool) -> Any:
    return Bench(model, **kw).info()


@pytest.mark.check("GI-01")
@pytest.mark.parametrize(
    ("chosen", "versions"),
    [
        (CTAP_2_0, {"U2F_V2", "FIDO_2_0"}),
        (CTAP_2_1, {"U2F_V2", "FIDO_2_0", "FIDO_2_1"}),
        (CTAP_2_3, {"U2F_V2", "FIDO_2_0", "FIDO_2_1", "FIDO_2_3"}),
    ],
)
def test_versions(chosen: Profile, versions: set[str]) -> None:
    listed = info_of(chosen)[1]
    assert len(listed) == len(versions)
    assert set(listed) == versions


@pytest.mark.check("GI-02")
def test_forms(model: Profile) -> None:
    info = info_of(model)
    assert info[3] == model.aaguid
    assert len(info[3]) == 16
    assert set(info[4]) <= KNOWN_OPTIONS
    assert all(type(value) is bool for value in info[4].values())
    assert all(type(name) is str for name in info[2] + info.get(9, []))
    assert len(set(info[6])) == len(info[6]) > 0
    assert model is CTAP_2_0 or info[6][0] == 2


@pytest.mark.check("GI-02")
def test_the_firmware(bench: Bench) -> None:
    assert type(bench.info()[0x0E]) is int
    assert info_of(replace(CTAP_2_3, firmware_version=0x050700))[0x0E] == 0x050700


@pytest.mark.check("GI-03", "GI-04", "GI-05")
def test_limits_and_lists(model: Profile) -> None:
    info = info_of(model)
    assert info[5] >= 1024
    for member in (7, 8):
        assert info.get(member, 1) > 0
    for member in (9, 0x0A, 0x16, 0x1A):
        listed = [str(element) for element in info.get(member, ["x"])]
        assert len(set(listed)) == len(listed) > 0
    assert all(set(element) == {"alg", "type"} for element in info.get(0x0A, []))
    assert "none" not in info.get(0x16, [])


@pytest.mark.check("GI-04")
def test_algorithms_in_order(bench: Bench) -> None:
    listed = bench.info()[0x0A]
    assert {frozenset(element) for element in listed} == {frozenset({"alg", "type"})}
    assert [element["alg"] for element in listed[:2]] == [-7, -8], "what OpenSSH has comes first"
    assert sorted(element["alg"] for element in listed) == sorted(CoseAlg)


def test_ctap_2_0_knows_six_members() -> None:
    assert set(info_of(CTAP_2_0)) == {1, 2, 3, 4, 5, 6}
    assert max(info_of(CTAP_2_1)) <= 0x14


@pytest.mark.check("GI-06", "GI-08", "GI-11")
def test_members_of_absent_features_are_absent(model: Profile) -> None:
    bare = replace(model.with_options(largeBlobs=None), extensions=(), pin_complexity=None)
    bare = replace(bare.with_options(perCredMgmtRO=None), long_touch_for_reset=None)
    bare = replace(bare, pin_complexity_url=b"https://example.org/pins")
    assert not {0x0B, 0x0F, 0x10, 0x13, 0x15, 0x18, 0x19, 0x1B, 0x1C, 0x1E} & set(info_of(bare))


@pytest.mark.check("GI-06")
@pytest.mark.parametrize("chosen", [CTAP_2_1, CTAP_2_3])
def test_room_for_blobs(chosen: Profile) -> None:
    info = info_of(replace(chosen, max_large_blob_array=1024, max_cred_blob=48))
    assert (info[0x0B], info[0x0F]) == (1024, 48)
    assert info_of(chosen)[0x0B] >= 1024
    assert info_of(chosen)[0x0F] >= 32


@pytest.mark.check("GI-11")
def test_the_complexity_policy(bench: Bench) -> None:
    assert bench.info()[0x1B] is False
    bench.authenticator.token.save(pin_complexity=True)
    assert bench.info()[0x1B] is True
    assert 0x1C not in bench.info()
    strict = replace(CTAP_2_3, pin_complexity=True, pin_complexity_url=b"https://example.org")
    assert (info_of(strict)[0x1B], info_of(strict)[0x1C]) == (True, b"https://example.org")


@pytest.mark.check("GI-13", "GI-14")
@pytest.mark.parametrize("chosen", [CTAP_2_1, CTAP_2_3, CTAP_2_3_LARGE_BLOB])
def test_features_that_need_or_exclude_others(chosen: Profile) -> None:
    info = info_of(chosen)
    extensions, options = set(info[2]), set(info[4])
    assert "credProtect" in extensions
    assert "hmac-secret" in extensions
    assert ("largeBlobKey" in extensions) is ("largeBlobs" in options)
    assert ("largeBlob" in extensions) is (chosen is CTAP_2_3_LARGE_BLOB)
    assert ("largeBlobs" in options) is (chosen is not CTAP_2_3_LARGE_BLOB)


@pytest.mark.check("GI-07", "GI-08")
def test_pin_members(fresh: Platform) -> None:
    info = fresh.bench.info()
    assert (info[0x0C], info[0x0D]) == (False, 4)
    assert info[0x1D] == 63
    without = info_of(CTAP_2_3.with_options(clientPin=None))
    assert not {0x0C, 0x0D, 0x1D} & set(without)
    fresh.bench.authenticator.token.save(force_pin_change=True, min_pin_length=6)
    assert (fresh.bench.info()[0x0C], fresh.bench.info()[0x0D]) == (True, 6)


@pytest.mark.check("GI-08")
def test_a_model_that_did_not_show_it_says_when_a_change_is_demanded() -> None:
    model = replace(CTAP_2_3, info_members=CTAP_2_3.info_members - {0x0C})
    bench = Bench(model)
    assert 0x0C not in bench.info()
    bench.authenticator.token.save(force_pin_change=True)
    assert bench.info()[0x0C] is True


@pytest.mark.check("GI-07", "PIN-13")
@pytest.mark.parametrize("longest", [8, 62, 63])
def test_the_longest_pin(longest: int) -> None:
    bench = Bench(replace(CTAP_2_3, max_pin_length=longest))
    assert bench.info()[0x1D] == longest
    platform = Platform(bench)
    assert platform.status(platform.set_request("x" * (longest + 1))) == S.PIN_POLICY_VIOLATION
    platform.set_pin("xy" * (longest // 2))


NEEDS = {
    "noMcGaPermissionsWithClientPin": "clientPin",
    "uvBioEnroll": "bioEnroll",
    "uvAcfg": "authnrCfg",
    "perCredMgmtRO": "credMgmt",
    "credBlob": "credProtect",
    "hmac-secret-mc": "hmac-secret",
    "largeBlobKey": "largeBlobs",
}


@pytest.mark.check("GI-13")
@pytest.mark.parametrize("chosen", PROFILES.values(), ids=lambda chosen: chosen.name)
@pytest.mark.parametrize(("feature", "needed"), NEEDS.items())
def test_features_come_with_what_they_need(chosen: Profile, feature: str, needed: str) -> None:
    shown = {*chosen.options, *chosen.extensions}
    assert feature not in shown or needed in shown


def test_most_of_these_features_are_there_to_be_judged() -> None:
    shown = {*CTAP_2_3.options, *CTAP_2_3.extensions}
    assert set(NEEDS) - shown == {"noMcGaPermissionsWithClientPin"}


@pytest.mark.check("GI-08")
def test_rp_ids_for_the_minimum_length() -> None:
    assert info_of(replace(CTAP_2_3, extensions=("minPinLength",)))[0x10] == 8


@pytest.mark.check("GI-10")
@pytest.mark.parametrize(
    ("options", "commands"),
    [
        ({}, [2, 3, 4]),
        ({"alwaysUv": None}, [3, 4]),
        ({"setMinPINLength": None}, [2, 4]),
        ({"ep": False}, [1, 2, 3, 4]),
        ({"authnrCfg": None}, None),
    ],
)
def test_config_commands(options: dict[str, bool | None], commands: list[int] | None) -> None:
    assert info_of(CTAP_2_3.with_options(**options)).get(0x1F) == commands


@pytest.mark.check("GI-12")
def test_options_that_state_decides() -> None:
    fresh = Platform(Bench())
    assert (fresh.bench.info()[4]["clientPin"], fresh.bench.info()[4]["uv"]) == (False, False)
    fresh.set_pin(PIN_CODE)
    assert fresh.bench.info()[4]["clientPin"] is True
    assert info_of(CTAP_2_3, uv=True)[4]["uv"] is True
    assert not {"uv"} & set(info_of(CTAP_2_1)[4])


@pytest.mark.check("GI-14", "GI-01")
def test_always_uv(bench: Bench) -> None:
    bench.authenticator.token.save(always_uv=True)
    info = bench.info()
    assert (info[4]["alwaysUv"], info[4]["makeCredUvNotRqd"]) == (True, False)
    assert "U2F_V2" not in info[1]
    sensor = Bench(uv=True)
    sensor.authenticator.token.save(always_uv=True)
    assert "U2F_V2" in sensor.info()[1]


@pytest.mark.check("GI-15", "GI-13")
@pytest.mark.parametrize("chosen", [CTAP_2_1, CTAP_2_3])
def test_mandatory_features(chosen: Profile) -> None:
    info = info_of(chosen)
    assert {"hmac-secret", "credProtect"} <= set(info[2])
    assert {"credMgmt", "clientPin", "pinUvAuthToken"} <= set(info[4])


@pytest.mark.check("GI-16")
def test_consumer_profile(model: Profile) -> None:
    assert "ep" not in info_of(model)[4]


@pytest.mark.check("GI-19")
def test_bytes_behind_and_blocked_pin(pinned: Platform) -> None:
    bench = pinned.bench
    bench.authenticator.token.save(pin_retries=0)
    before = bench.settled_info()
    padded = bench.raw(b"\x04\xff\xff").body
    assert {key: padded[key] for key in before} == before
    assert set(padded) == set(bench.info())
    assert bench.touches() == 0


def test_u2f_has_no_ctap2() -> None:
    bench = Bench(U2F)
    for command in range(256):
        assert bench.raw(bytes([command])).status == S.INVALID_COMMAND
    assert bench.status(INFO) == bench.status(MC, make_request()) == S.INVALID_COMMAND


def test_transports(bench: Bench) -> None:
    assert bench.info()[9] == ["usb"]


@pytest.mark.check("GI-09")
def test_certifications() -> None:
    certified = replace(CTAP_2_3, certifications={"FIDO": 1, "CC-EAL": 5})
    assert info_of(certified)[0x13] == {"FIDO": 1, "CC-EAL": 5}
    assert 0x13 not in info_of(CTAP_2_3)


@pytest.mark.check("GI-12", "PIN-31")
def test_members_of_the_sensor() -> None:
    swipe = replace(CTAP_2_3, uv_modality=0x80, preferred_uv_attempts=1)
    assert [info_of(swipe)[member] for member in (0x11, 0x12, 0x17)] == [1, 0x80, 0]
    assert not {0x11, 0x12, 0x17} & set(info_of(CTAP_2_3.with_options(uv=None)))


@pytest.mark.check("GI-12", "PIN-31")
def test_verifications_since_the_last_pin() -> None:
    platform = Platform(Bench(uv=True))
    bench = platform.bench
    platform.set_pin(PIN_CODE)
    bench.person.will(Outcome.UV_MISMATCHED, Outcome.TIMED_OUT)
    for count, status in ((1, S.PUAT_REQUIRED), (2, S.USER_ACTION_TIMEOUT), (3, S.OK)):
        assert bench.status(MC, make_request(uv=True)) == status
        assert bench.info()[0x17] == count
    bench.power_up()
    platform.agree()
    assert bench.info()[0x17] == 3
    assert platform.try_pin("wrong") == S.PIN_INVALID
    assert bench.info()[0x17] == 3
    assert platform.try_pin(PIN_CODE) == S.OK
    assert bench.info()[0x17] == 0


@pytest.mark.check("GI-05", "GI-10", "GI-15")
def test_what_the_default_model_shows(bench: Bench) -> None:
    info = bench.info()
    expected = {"uv", "bioEnroll", "uvBioEnroll", "uvAcfg", "perCredMgmtRO", "authnrCfg"}
    assert expected <= set(info[4])
    assert {0x11, 0x12, 0x16, 0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1E, 0x1F} <= set(info)
    assert set(info[0x1A]) <= set(info[9])
