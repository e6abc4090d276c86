"""What a model cannot do, and where its limits are, at the wire, by a platform of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from tests.models import certified
from tests.virtual.core.client import (
    GA,
    HASH,
    INFO,
    MC,
    MISSING,
    RP,
    Bench,
    Platform,
    S,
    encode,
    make_request,
    param,
)

from fidokit.metadata.model import Model
from fidokit.virtual.core.profile import Profile
from fidokit.virtual.models import profiles

COMMANDS: Mapping[int, str] = {
    0x09: "bioEnroll",
    0x0A: "credMgmt",
    0x0C: "largeBlobs",
    0x0D: "authnrCfg",
    0x40: "userVerificationMgmtPreview",
    0x41: "credentialMgmtPreview",
}
WAIT_TO_BE_SET_UP = {"bioEnroll", "userVerificationMgmtPreview"}
NEW = {"FIDO_2_1", "FIDO_2_2", "FIDO_2_3"}
VERSION_APDU = bytes.fromhex("00030000000000")


def info_of(model: Model) -> dict[str, Any]:
    return dict(model.get_info or {})


def options_of(model: Model) -> dict[str, bool]:
    return dict(info_of(model).get("options", {}))


def stand_in(model: Model) -> Profile:
    return profiles.impersonate(model.document()).profile


@certified.every_model
def test_only_commands_that_are_offered_are_served(model: Model) -> None:
    bench = Bench(stand_in(model))
    options = options_of(model)
    for command, option in COMMANDS.items():
        offered = options.get(option, False) or (option in options and option in WAIT_TO_BE_SET_UP)
        refused = bench.status(command, {}) == S.INVALID_COMMAND
        assert refused is not offered, option


@certified.every_model
def test_selection_came_with_ctap_2_1(model: Model) -> None:
    status = Bench(stand_in(model)).status(0x0B)
    assert status == (S.OK if NEW & set(info_of(model)["versions"]) else S.INVALID_COMMAND)


@certified.every_model
def test_u2f_is_served_where_it_is_listed(model: Model) -> None:
    reply = Bench(stand_in(model)).authenticator.handle_msg(VERSION_APDU)
    u2f = "U2F_V2" in info_of(model)["versions"]
    assert reply == (b"U2F_V2\x90\x00" if u2f else b"\x6d\x00")


@certified.every_model
def test_the_longest_list_and_the_longest_message(model: Model) -> None:
    bench = Bench(stand_in(model))
    longest = info_of(model).get("maxCredentialCountInList")
    for count in (longest or 1, (longest or 1 << 10) + 1):
        request = allowing(count)
        if len(encode(request)) >= info_of(model).get("maxMsgSize", 1024):
            expected = S.REQUEST_TOO_LARGE
        else:
            expected = S.LIMIT_EXCEEDED if longest and count > longest else S.NO_CREDENTIALS
        assert bench.status(GA, request) == expected


def allowing(count: int) -> dict[int, Any]:
    """A silent getAssertion with so many short ids."""
    ids = [{"id": b"\x00", "type": "public-key"}] * count
    return {1: RP, 2: HASH, 3: ids, 5: {"up": False}}


@certified.every_model_that(lambda model: "clientPin" in options_of(model))
def test_pins_as_short_and_as_long_as_the_model_takes(model: Model) -> None:
    info = info_of(model)
    shortest, longest = info.get("minPINLength", 4), info.get("maxPINLength", 63)
    bench = Bench(stand_in(model))
    platform = Platform(bench, (info.get("pinUvAuthProtocols") or [1])[0])
    for length in (shortest - 1, min(longest + 1, 63)):
        if shortest <= length <= longest:
            continue
        status = platform.status(platform.set_request(pin_of(length)))
        assert status == S.PIN_POLICY_VIOLATION
    platform.set_pin(pin_of(longest))
    short = Platform(Bench(stand_in(model)), (info.get("pinUvAuthProtocols") or [1])[0])
    short.set_pin(pin_of(shortest))


def pin_of(length: int) -> str:
    """A PIN that no policy finds too simple."""
    return ("3" + "141592653589793" * 5)[:length]


@certified.every_model_that(lambda model: "clientPin" in options_of(model))
def test_only_listed_pin_protocols_and_subcommands_are_served(model: Model) -> None:
    listed = info_of(model).get("pinUvAuthProtocols") or [1]
    bench = Bench(stand_in(model))
    for protocol in (1, 2, 3):
        status = bench.status(0x06, {1: protocol, 2: 2})
        assert status == (S.OK if protocol in listed else S.INVALID_PARAMETER)
    with_permissions = bench.status(0x06, {1: listed[0], 2: 9})
    has_tokens = options_of(model).get("pinUvAuthToken", False)
    assert with_permissions == (S.MISSING_PARAMETER if has_tokens else S.INVALID_SUBCOMMAND)


FEW = 10


@certified.every_model_that(
    lambda model: 0 < info_of(model).get("remainingDiscoverableCredentials", FEW) < FEW
)
def test_the_store_holds_as_many_as_the_model_says(model: Model) -> None:
    room = info_of(model)["remainingDiscoverableCredentials"]
    bench = Bench(stand_in(model).with_options(alwaysUv=None))
    for number in range(room):
        bench.make({3: {"id": bytes([number])}}, rk=True)
    assert bench.info()[0x14] == 0
    one_more = make_request({3: {"id": b"one more"}}, rk=True)
    assert bench.status(MC, one_more) == S.KEY_STORE_FULL


def asks_for_nobody(model: Model) -> bool:
    """Whether a credential can be made before a PIN or a finger is set up."""
    options = options_of(model)
    knows_its_owner = options.get("uv", False) and not WAIT_TO_BE_SET_UP & set(options)
    return bool(stand_in(model).algorithms) and not (options.get("alwaysUv") or knows_its_owner)


@certified.every_model_that(asks_for_nobody)
def test_no_id_is_longer_than_the_model_says(model: Model) -> None:
    bench = Bench(stand_in(model))
    best = {4: [param(bench.profile.algorithms[0])]}
    longest = info_of(model).get("maxCredentialIdLength", 1023)
    assert len(bench.make(best).id) <= longest
    if options_of(model).get("rk", False):
        assert len(bench.make(best, rk=True).id) <= longest


# --- replies -------------------------------------------------------------------------------------

ASKED: dict[str, Any] = {
    "credProtect": 3,
    "hmac-secret": True,
    "largeBlobKey": True,
    "minPinLength": True,
    "pinComplexityPolicy": True,
    "thirdPartyPayment": True,
    "uvm": True,
}
RSA = frozenset({-257, -37})
LONG_RP = f"ssh:{'application-' * 20}"
LONG_NAME = "\N{KEY}" * 16


@pytest.mark.check("CBR-11")
@certified.every_model
def test_no_reply_is_longer_than_the_model_says(model: Model) -> None:
    """Made with every algorithm, extension and attestation, used and listed with long names."""
    profile = stand_in(model)
    if not profile.has_ctap2:
        return
    measured = Measured(profile)
    for alg in (alg for alg in profile.algorithms if alg not in RSA):
        for attestation in ({}, {10: 2}, {11: ["packed"]}, {11: ["none"]}, {11: ["fido-u2f"]}):
            measured.life(int(alg), attestation)
    assert max(measured.sizes) <= profile.max_msg_size, measured.longest


class Measured:
    """A token whose replies are measured."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        enterprise = {"ep": True} if profile.offers("ep") else {}
        self.bench = Bench(profile.with_options(**enterprise))
        self.sizes: list[int] = [0]
        self.longest = b""
        known = set(profile.extensions)
        self.inputs = {name: value for name, value in ASKED.items() if name in known}
        if "credBlob" in known:
            self.inputs["credBlob"] = bytes(profile.max_cred_blob)

    def send(self, command: int, request: Mapping[Any, Any] | None = None) -> bytes:
        body = b"" if request is None else encode(request)
        reply = self.bench.authenticator.handle(bytes([command]) + body)
        if len(reply) > max(self.sizes):
            self.longest = bytes([command]) + body
        self.sizes.append(len(reply))
        return reply

    def life(self, alg: int, attestation: Mapping[int, Any]) -> None:
        resident = self.profile.offers("rk")
        user = {"id": bytes(64), "name": LONG_NAME, "displayName": LONG_NAME}
        inputs = self.inputs if resident else {**self.inputs, "largeBlobKey": MISSING}
        extensions = {name: value for name, value in inputs.items() if value is not MISSING}
        patch = {2: {"id": LONG_RP}, 3: user, 4: [param(alg)], 6: extensions, **attestation}
        options = {"rk": True} if resident else {}
        uv = {"uv": True} if self.bench.authenticator.token.uv_configured else {}
        self.send(MC, make_request(patch, **options, **uv))
        got = {name: True for name in ("credBlob", "largeBlobKey", "uvm") if name in extensions}
        self.send(GA, {1: LONG_RP, 2: HASH, 4: got, 5: {"up": True, **uv}, 9: ["packed"]})
        self.send(INFO)
        if self.profile.offers("largeBlobs"):
            self.send(0x0C, {1: self.profile.max_msg_size - 64, 3: 0})
