"""Profiles of certified models; what is served is what the tables have, no more and no less."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.virtual.core.client import Bench
from tests.virtual.models.model_samples import AAGUID, INFO, INFO_2_0, document

from fidokit import cbor
from fidokit.errors import Malformed, StateUnusable, UsageError
from fidokit.types import CoseAlg, CtapStatus
from fidokit.virtual import registry
from fidokit.virtual.core.commands import config, table
from fidokit.virtual.core.commands import get_info as info
from fidokit.virtual.core.extensions import table as extensions
from fidokit.virtual.core.extensions.extension import Extension
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.profile import CTAP_2_0, CTAP_2_1, PROFILES, Profile
from fidokit.virtual.models import profiles
from fidokit.virtual.models.form import MEMBERS
from fidokit.virtual.store import schema
from fidokit.virtual.store.sqlite import SqliteStore, read_identity
from fidokit.virtual.token import VirtualToken


def profile(*args: dict[str, Any], **changes: Any) -> Profile:
    return profiles.impersonate(document(*args, **changes)).profile


def withheld(**changes: Any) -> tuple[str, ...]:
    return profiles.impersonate(document(**changes)).withheld


def get_info(token: VirtualToken) -> dict[Any, Any]:
    reply = token.link().cbor(b"\x04", lambda _status: None, lambda: False)
    assert reply[0] == CtapStatus.OK
    value = cbor.decode(reply[1:])
    assert isinstance(value, dict)
    return value


# --- the profile ---------------------------------------------------------------------------------


def test_what_a_model_says_becomes_its_profile() -> None:
    made = profiles.impersonate(document())
    known = made.profile
    assert made.withheld == ()
    assert made.description == "Example Key One"
    assert known.name == f"aaguid:{AAGUID}"
    assert known.aaguid.hex() == AAGUID.replace("-", "")
    assert known.versions == ("U2F_V2", "FIDO_2_0", "FIDO_2_1")
    assert known.pin_protocols == (2, 1)
    assert known.algorithms == (CoseAlg.ES256, CoseAlg.EDDSA)
    assert known.transports == ("usb", "nfc")
    assert known.max_msg_size == 1200
    assert known.max_credentials_in_list == 8
    assert known.max_resident == 25
    assert known.min_pin_length == 6
    assert known.behavior == CTAP_2_1.behavior


def test_a_fresh_token_has_no_pin() -> None:
    assert profile().options["clientPin"] is False


def test_what_a_model_does_not_say_is_what_the_specification_presumes() -> None:
    known = profile(INFO_2_0)
    assert known.info_members == {0x01, 0x03, 0x04}
    assert known.pin_protocols == (1,)
    assert known.algorithms == (CoseAlg.ES256,)
    assert (known.max_msg_size, known.max_resident, known.extensions) == (1024, 25, ())


def test_no_pin_and_no_token_means_no_pin_protocol() -> None:
    assert profile(INFO_2_0, options={"rk": True}).pin_protocols == ()
    assert profile(INFO_2_0, options={"uv": True, "pinUvAuthToken": True}).pin_protocols == (1,)


def test_algorithms_beside_getinfo_serve_models_that_list_none() -> None:
    given_beside = {**document(algorithms=None), "algorithms": [-8, -7]}
    made = profiles.impersonate(given_beside).profile
    assert made.algorithms == (CoseAlg.EDDSA, CoseAlg.ES256)
    assert 0x0A not in made.info_members
    listed = {**document(), "algorithms": [-47]}
    assert profiles.impersonate(listed).profile.algorithms == (CoseAlg.ES256, CoseAlg.EDDSA)


@pytest.mark.parametrize(
    ("versions", "old"),
    [
        (["FIDO_2_0"], True),
        (["U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE"], True),
        (["FIDO_2_0", "FIDO_2_1_PRE", "FIDO_2_1"], False),
        (["FIDO_2_3"], False),
    ],
)
def test_the_version_decides_how_it_behaves(versions: list[str], old: bool) -> None:
    known = profile(versions=versions)
    assert known.behavior.any_up_option_refused is old
    assert known.behavior.bad_salt_auth == (CTAP_2_0 if old else profile()).behavior.bad_salt_auth
    assert known.behavior.token_has_permissions
    assert known.has_selection is not old


def test_without_the_option_it_has_the_pin_token_of_2_0() -> None:
    known = profile(options={"clientPin": True})
    assert not known.behavior.token_has_permissions
    assert known.behavior.token_usage_ms is None
    assert not known.behavior.any_up_option_refused


@pytest.mark.parametrize(("room", "own"), [(510, True), (1024, False), (1200, False)])
def test_a_terse_model_has_no_room_for_a_certificate(room: int, own: bool) -> None:
    assert profile(maxMsgSize=room).self_attestation is own


def test_pin_lengths_stay_within_the_specification() -> None:
    known = profile(minPINLength=1, maxPINLength=200)
    assert (known.min_pin_length, known.max_pin_length) == (4, 63)


def test_the_subcommands_of_config_that_it_lists() -> None:
    assert profile(authenticatorConfigCommands=[2, 3]).config_commands == (2, 3)
    assert profile().config_commands is None


# --- what is withheld ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"extensions": ["credProtect", "invented"]}, ("invented",)),
        ({"options": {**INFO["options"], "invented": True}}, ("invented",)),
        ({"options": {**INFO["options"], "invented": False}}, ()),
        ({"algorithms": [{"type": "public-key", "alg": -65535}]}, ("algorithm -65535",)),
        ({"attestationFormats": ["packed", "tpm"]}, ("attestation tpm",)),
        ({"invented": 5}, ("invented",)),
        ({"options": {"rk": True}}, ("minPINLength",)),
        ({"options": {"clientPin": True}}, ("remainingDiscoverableCredentials",)),
    ],
)
def test_what_nobody_serves_is_withheld_by_name(
    changes: dict[str, Any], names: tuple[str, ...]
) -> None:
    assert withheld(**changes) == names


def test_an_option_that_waits_to_be_set_up_is_a_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "has_option", lambda name: name == "rk")
    said = withheld(options={"rk": True, "bioEnroll": False, "credMgmt": False}, minPINLength=None)
    assert said == ("bioEnroll",)


def test_what_the_authenticator_learns_is_withheld_no_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert "invented" in withheld(extensions=["invented"])
    learned = {**extensions.EXTENSIONS, "invented": Extension()}
    monkeypatch.setattr(extensions, "EXTENSIONS", learned)
    made = profiles.impersonate(document(extensions=["invented"]))
    assert (made.profile.extensions, made.withheld) == (("invented",), ())


def test_a_member_that_getinfo_has_not_is_withheld(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {number: say for number, say in info.MEMBERS.items() if number != 0x0E}
    monkeypatch.setattr(info, "MEMBERS", fewer)
    assert withheld() == ("firmwareVersion",)


def test_a_model_with_nothing_that_we_sign_with_makes_no_credential() -> None:
    known = profile(algorithms=[{"type": "public-key", "alg": -65535}])
    assert known.algorithms == ()


# --- built-in verification -----------------------------------------------------------------------


def test_a_model_with_a_sensor_that_cannot_learn_comes_enrolled_and_stays_so() -> None:
    with VirtualToken(model=document(options={"uv": True, "rk": True})) as token:
        assert get_info(token)[0x04]["uv"] is True
        assert token.link().cbor(b"\x07", lambda _: None, lambda: False) == b"\0"
        assert get_info(token)[0x04]["uv"] is True


def test_a_model_that_enrolls_fingers_comes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "has_option", lambda _name: True)
    known = profile(options={"uv": True, "bioEnroll": True, "rk": True})
    assert dict(known.options) == {"uv": False, "bioEnroll": False, "rk": True}


# --- behavior at the wire ---------------------------------------------------------------------


def test_getinfo_is_what_the_model_says() -> None:
    with VirtualToken(model=document()) as token:
        said = get_info(token)
    assert set(said) == {MEMBERS[name].number for name in INFO}
    assert said[0x01] == INFO["versions"]
    assert said[0x03].hex() == INFO["aaguid"]
    assert said[0x04] == {**INFO["options"], "clientPin": False}
    assert said[0x0A] == INFO["algorithms"]
    assert said[0x0E] == 329473
    assert said[0x14] == 25


def test_only_the_preview_command_is_served_where_only_that_is_offered() -> None:
    bench = Bench(profile(options={"rk": True, "clientPin": True, "credentialMgmtPreview": True}))
    assert bench.authenticator.handle(b"\x0a\xa1\x01\x01") == bytes([CtapStatus.INVALID_COMMAND])
    assert bench.authenticator.handle(b"\x41\xa1\x01\x01") == bytes([CtapStatus.PUAT_REQUIRED])


def test_protocol_2_is_refused_where_only_1_is_offered() -> None:
    bench = Bench(profile(pinUvAuthProtocols=[1]))
    ask = {1: 2, 2: 2}
    reply = bench.authenticator.handle(b"\x06" + cbor.encode(ask))
    assert reply == bytes([CtapStatus.INVALID_PARAMETER])


def test_a_model_of_before_2_1_has_no_selection() -> None:
    bench = Bench(profile(versions=["FIDO_2_0", "FIDO_2_1_PRE"]))
    assert bench.authenticator.handle(b"\x0b") == bytes([CtapStatus.INVALID_COMMAND])


def test_a_u2f_model_speaks_u2f_alone() -> None:
    with VirtualToken(model=document(INFO_2_0, versions=["U2F_V2"], options=None)) as token:
        link = token.link()
        assert not token.capabilities & 0x04
        assert link.msg(bytes.fromhex("00030000000000")) == b"U2F_V2\x90\x00"
        assert link.cbor(b"\x04", lambda _: None, lambda: False) == b"\x01"


# --- kept with the token -----------------------------------------------------------------------


def test_a_registered_token_reopens_as_the_same_model(state_home: Path) -> None:
    made = registry.create("key", model=document())
    assert made.identity is not None
    assert made.identity.profile == f"aaguid:{AAGUID}"
    with registry.open_token("key") as token:
        first = get_info(token)
    with registry.open_token("key") as token:
        assert get_info(token) == first
        assert token.profile == profile()
    (entry,) = registry.list_tokens()
    assert entry.identity == made.identity
    assert profiles.reopen(made.identity.model).description == "Example Key One"


def test_a_token_in_a_file_keeps_its_model(tmp_path: Path) -> None:
    path = tmp_path / "key.sqlite"
    VirtualToken(path, model=document()).close()
    with VirtualToken(path) as token:
        assert token.profile.max_resident == 25


def test_a_file_of_before_models_is_looked_at_and_opened(tmp_path: Path) -> None:
    path = tmp_path / "key.sqlite"
    VirtualToken(path, profile="ctap2.0").close()
    older = sqlite3.connect(path)
    before = schema.MIGRATIONS.index(schema._MODEL)
    older.executescript(
        "ALTER TABLE identity DROP COLUMN model; ALTER TABLE identity DROP COLUMN quirks;"
        "ALTER TABLE credential DROP COLUMN discoverable;"
        "DROP TABLE seal; DROP TABLE sealed;"
        f"PRAGMA user_version = {before};"
    )
    older.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    older.close()
    looked_at = read_identity(path)
    assert (looked_at.profile, looked_at.model) == ("ctap2.0", "")
    with VirtualToken(path) as token:
        assert token.identity == looked_at
        assert token.profile is CTAP_2_0


def test_a_token_has_a_profile_or_a_model() -> None:
    with pytest.raises(UsageError, match="not both"):
        VirtualToken(profile="ctap2.0", model=document())


def test_a_name_that_several_models_have() -> None:
    with pytest.raises(UsageError, match="models are called 'YubiKey 5 Series'"):
        VirtualToken(model="YubiKey 5 Series")


@pytest.mark.parametrize("odd", [7, []])
def test_what_is_neither_name_nor_document(odd: Any) -> None:
    with pytest.raises(Malformed) as caught:
        VirtualToken(model=odd)
    assert "VirtualToken" in caught.value.hint


def test_a_bad_document_makes_no_token(state_home: Path) -> None:
    with pytest.raises(Malformed):
        registry.create("key", model=document(versions=None))
    assert registry.list_tokens() == []


def test_a_kept_model_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "key.sqlite"
    VirtualToken(path, model=document()).close()
    store = SqliteStore.open(path)
    store._db.execute("UPDATE identity SET model = '{'")
    store.close()
    with pytest.raises(StateUnusable, match="not for this fidokit"):
        VirtualToken(path)
    VirtualToken(tmp_path / "another.sqlite").close()
    assert read_identity(tmp_path / "another.sqlite").model == ""


# --- whatever a maker writes ---------------------------------------------------------------------

UINTS = st.integers(0, 1 << 32)
TEXTS = st.lists(st.sampled_from(["usb", "packed", "FIDO_2_0", "credProtect", "x"]), max_size=3)
VALUES = st.booleans() | UINTS | TEXTS | st.dictionaries(st.sampled_from(["rk", "uv"]), UINTS)


@given(st.dictionaries(st.sampled_from(sorted(MEMBERS)), VALUES, max_size=4))
def test_any_document_is_refused_or_makes_a_token_that_answers(changes: dict[str, Any]) -> None:
    with suppress(Malformed):
        made = profiles.impersonate(document(**changes))
        with VirtualToken(model=document(**changes)) as token:
            assert token.profile == made.profile
            if token.profile.has_ctap2:
                assert get_info(token)[0x03] == made.profile.aaguid


@pytest.mark.parametrize("name", ["rk", "clientPin", "uv", "credMgmt", "credentialMgmtPreview"])
def test_options_that_are_there(name: str) -> None:
    assert profiles.has_option(name)


@pytest.mark.parametrize("name", ["", "uvToken", "somethingNew", "Rk"])
def test_options_that_nobody_knows(name: str) -> None:
    assert not profiles.has_option(name)


def test_an_option_goes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {number: command for number, command in table.COMMANDS.items() if number != 0x0A}
    monkeypatch.setattr(table, "COMMANDS", fewer)
    assert not profiles.has_option("credMgmt")
    assert profiles.has_option("credentialMgmtPreview")
    more = {**fewer, 0x09: fewer[0x01], 0x0C: fewer[0x01], 0x40: fewer[0x01]}
    monkeypatch.setattr(table, "COMMANDS", more)
    for name in ("bioEnroll", "uvBioEnroll", "largeBlobs", "userVerificationMgmtPreview"):
        assert profiles.has_option(name)


def test_an_option_goes_with_its_subcommand_or_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SERVED", frozenset({0x01}))
    assert profiles.has_option("ep")
    assert not profiles.has_option("setMinPINLength")
    monkeypatch.setattr(info, "MEMBERS", {**info.MEMBERS, 0x1E: lambda _token: b""})
    assert profiles.has_option("perCredMgmtRO")
    monkeypatch.setattr(info, "MEMBERS", {})
    assert not profiles.has_option("perCredMgmtRO")


def test_a_large_blob_key_is_no_good_without_large_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {**extensions.EXTENSIONS, "largeBlobKey": Extension()}
    monkeypatch.setattr(extensions, "EXTENSIONS", both)
    monkeypatch.setattr(table, "COMMANDS", {})
    assert not profiles.has_extension("largeBlobKey")
    assert profiles.has_extension("credProtect")
    monkeypatch.setattr(table, "COMMANDS", {0x0C: None})
    assert profiles.has_extension("largeBlobKey")


def test_algorithms() -> None:
    assert {number for number in CoseAlg if profiles.has_algorithm(number)} == set(ALGORITHMS)
    assert not profiles.has_algorithm(-65535)


def test_what_our_own_profiles_say_is_served() -> None:
    for profile in PROFILES.values():
        assert all(map(profiles.has_extension, profile.extensions))
        assert all(map(profiles.has_algorithm, profile.algorithms))
        assert all(map(profiles.has_pin_protocol, profile.pin_protocols))
        assert all(map(profiles.has_format, profile.attestation_formats))
        assert [name for name in profile.options if not profiles.has_option(name)] == []


def test_members() -> None:
    assert profiles.has_member(0x01)
    assert not profiles.has_member(0x20)
