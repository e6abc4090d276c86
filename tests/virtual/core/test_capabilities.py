"""What is served is what the tables have, no more and no less."""

from __future__ import annotations

import pytest

from fidokit.types import CoseAlg
from fidokit.virtual.core import capabilities
from fidokit.virtual.core.commands import config, get_info, table
from fidokit.virtual.core.extensions import table as extensions
from fidokit.virtual.core.extensions.extension import Extension
from fidokit.virtual.core.keys.algorithms import ALGORITHMS
from fidokit.virtual.core.profile import PROFILES


@pytest.mark.parametrize("name", ["rk", "clientPin", "uv", "credMgmt", "credentialMgmtPreview"])
def test_options_that_are_there(name: str) -> None:
    assert capabilities.option(name)


@pytest.mark.parametrize("name", ["", "uvToken", "somethingNew", "Rk"])
def test_options_that_nobody_knows(name: str) -> None:
    assert not capabilities.option(name)


def test_an_option_goes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {number: command for number, command in table.COMMANDS.items() if number != 0x0A}
    monkeypatch.setattr(table, "COMMANDS", fewer)
    assert not capabilities.option("credMgmt")
    assert capabilities.option("credentialMgmtPreview")
    more = {**fewer, 0x09: fewer[0x01], 0x0C: fewer[0x01], 0x40: fewer[0x01]}
    monkeypatch.setattr(table, "COMMANDS", more)
    for name in ("bioEnroll", "uvBioEnroll", "largeBlobs", "userVerificationMgmtPreview"):
        assert capabilities.option(name)


def test_an_option_goes_with_its_subcommand_or_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SERVED", frozenset({0x01}))
    assert capabilities.option("ep")
    assert not capabilities.option("setMinPINLength")
    monkeypatch.setattr(get_info, "MEMBERS", {**get_info.MEMBERS, 0x1E: lambda _token: b""})
    assert capabilities.option("perCredMgmtRO")
    monkeypatch.setattr(get_info, "MEMBERS", {})
    assert not capabilities.option("perCredMgmtRO")


def test_a_large_blob_key_is_no_good_without_large_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {**extensions.EXTENSIONS, "largeBlobKey": Extension()}
    monkeypatch.setattr(extensions, "EXTENSIONS", both)
    monkeypatch.setattr(table, "COMMANDS", {})
    assert not capabilities.extension("largeBlobKey")
    assert capabilities.extension("credProtect")
    monkeypatch.setattr(table, "COMMANDS", {0x0C: None})
    assert capabilities.extension("largeBlobKey")


def test_algorithms() -> None:
    assert {number for number in CoseAlg if capabilities.algorithm(number)} == set(ALGORITHMS)
    assert not capabilities.algorithm(-65535)


def test_what_our_own_profiles_say_is_served() -> None:
    for profile in PROFILES.values():
        assert all(map(capabilities.extension, profile.extensions))
        assert all(map(capabilities.algorithm, profile.algorithms))
        assert all(map(capabilities.pin_protocol_version, profile.pin_protocols))
        assert all(map(capabilities.attestation_format, profile.attestation_formats))
        assert [name for name in profile.options if not capabilities.option(name)] == []


def test_members() -> None:
    assert capabilities.member(0x01)
    assert not capabilities.member(0x20)
