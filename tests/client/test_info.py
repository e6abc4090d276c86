from __future__ import annotations

import pytest
from tests.support.fake_link import GET_INFO

from fidokit.client.answer import Answer
from fidokit.client.info import U2F_ONLY, TokenInfo, decode_info
from fidokit.errors import TokenMisbehaved
from fidokit.types import KeyType


def decoded(**members: object) -> TokenInfo:
    changes = {int(name[1:], 16): value for name, value in members.items()}
    merged = {**GET_INFO, **changes}
    return decode_info(
        Answer({key: value for key, value in merged.items() if value is not None}, "getInfo answer")
    )


def test_a_full_answer() -> None:
    info = decoded(
        _9=["usb", "nfc"], _c=True, _d=6, _e=5, _11=3, _14=12, _1d=20, _1f=[1, 2, 3], _10=2
    )
    assert info.aaguid == bytes(range(16))
    assert info.transports == ("usb", "nfc")
    assert (info.force_pin_change, info.min_pin_length, info.max_pin_length) == (True, 6, 20)
    assert (info.firmware_version, info.remaining_resident) == (5, 12)
    assert info.config_commands == (1, 2, 3)
    assert info.algorithms == (-7, -8)


def test_the_least_answer_of_ctap_2_0() -> None:
    info = decode_info(Answer({1: ["FIDO_2_0"], 3: bytes(16)}, "getInfo answer"))
    assert info.pin_set is None
    assert not info.has_resident
    assert info.has_cred_mgmt is None
    assert info.max_msg_size == 1024
    assert (info.min_pin_length, info.max_pin_length) == (4, 63)
    assert not info.has_selection
    assert info.supports(KeyType.ECDSA_SK)
    assert info.supports(KeyType.ED25519_SK) is None  # only asking can tell


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"credMgmt": True, "credentialMgmtPreview": True}, "credMgmt"),
        ({"credentialMgmtPreview": True}, "credentialMgmtPreview"),
        ({"credMgmt": False}, None),
    ],
)
def test_credential_management(options: dict[str, bool], found: str | None) -> None:
    assert decoded(_4=options).has_cred_mgmt == found


@pytest.mark.parametrize(
    ("versions", "selects"),
    [
        (["FIDO_2_0"], False),
        (["FIDO_2_0", "FIDO_2_1_PRE"], False),
        (["U2F_V2", "FIDO_2_0", "FIDO_2_1"], True),
        (["FIDO_2_3"], True),
    ],
)
def test_selection_came_with_2_1(versions: list[str], selects: bool) -> None:
    assert decoded(_1=versions).has_selection is selects


def test_always_uv_overrules_make_cred_uv_not_required() -> None:
    assert decoded(_4={"makeCredUvNotRqd": True}).make_credential_needs_no_pin
    both = decoded(_4={"makeCredUvNotRqd": True, "alwaysUv": True})
    assert not both.make_credential_needs_no_pin


def test_algorithms_decide_where_listed() -> None:
    only = decoded(_a=[{"alg": -7, "type": "public-key"}, {"alg": -257, "type": "other"}])
    assert only.supports(KeyType.ECDSA_SK)
    assert not only.supports(KeyType.ED25519_SK)


def test_u2f_only() -> None:
    assert U2F_ONLY.is_u2f_only
    assert U2F_ONLY.supports(KeyType.ECDSA_SK)
    assert not U2F_ONLY.supports(KeyType.ED25519_SK)


@pytest.mark.parametrize(
    "members",
    [
        {"_1": None}, {"_1": "FIDO_2_0"}, {"_1": [1]}, {"_1": ["x" * 500]},
        {"_3": None}, {"_3": bytes(15)}, {"_3": "a" * 16}, {"_4": {"rk": 1}}, {"_4": [True]},
        {"_4": {1: True}}, {"_5": -1}, {"_5": 2**64}, {"_5": True}, {"_6": [b"1"]}, {"_6": {}},
        {"_a": [{"alg": "ES256", "type": "public-key"}]}, {"_a": [1]}, {"_c": 1}, {"_d": "4"},
        {"_e": b""}, {"_14": -3}, {"_19": bytes(100)}, {"_1f": [None]}, {"_9": list("a" * 65)},
    ],
)  # fmt: skip
def test_wrong_members(members: dict[str, object]) -> None:
    with pytest.raises(TokenMisbehaved):
        decoded(**members)


def test_absurd_pin_lengths_are_bounded() -> None:
    assert decoded(_d=1000, _1d=0).min_pin_length == 63
    assert decoded(_d=0, _1d=1000).max_pin_length == 63


def test_members_of_later_ctaps() -> None:
    info = decoded(_b=4096, _1b=False, _19=bytes(32), _18=True)
    assert info.max_large_blob_array == 4096
    assert info.pin_complexity is False
    assert info.enc_identifier == bytes(32)
    assert info.long_touch_for_reset is True


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"bioEnroll": False, "userVerificationMgmtPreview": True}, "bioEnroll"),
        ({"bioEnroll": True}, "bioEnroll"),
        ({"userVerificationMgmtPreview": False}, "userVerificationMgmtPreview"),
        ({}, None),
    ],
)
def test_bio_enrollment(options: dict[str, bool], found: str | None) -> None:
    assert decoded(_4=options).has_bio_enrollment == found


def test_reading_that_lasts_needs_credential_management() -> None:
    assert decoded(_4={"perCredMgmtRO": True, "credMgmt": True}).has_persistent_reading
    assert not decoded(_4={"perCredMgmtRO": True}).has_persistent_reading
    assert not decoded(_4={"credMgmt": True}).has_persistent_reading
    assert decoded(_4={"largeBlobs": True}).has_large_blobs
    assert not decoded().has_large_blobs
