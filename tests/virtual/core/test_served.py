"""What is served is what the tables have, no more and no less."""

from __future__ import annotations

import pytest

from fidokit.types import CoseAlg
from fidokit.virtual.core import commands, config, extensions, info, served
from fidokit.virtual.core.algorithms import ALGORITHMS
from fidokit.virtual.core.profile import PROFILES


@pytest.mark.parametrize("name", ["rk", "clientPin", "uv", "credMgmt", "credentialMgmtPreview"])
def test_options_that_are_there(name: str) -> None:
    assert served.option(name)


@pytest.mark.parametrize("name", ["", "uvToken", "somethingNew", "Rk"])
def test_options_that_nobody_knows(name: str) -> None:
    assert not served.option(name)


def test_an_option_goes_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {number: command for number, command in commands.COMMANDS.items() if number != 0x0A}
    monkeypatch.setattr(commands, "COMMANDS", fewer)
    assert not served.option("credMgmt")
    assert served.option("credentialMgmtPreview")
    more = {**fewer, 0x09: fewer[0x01], 0x0C: fewer[0x01], 0x40: fewer[0x01]}
    monkeypatch.setattr(commands, "COMMANDS", more)
    for name in ("bioEnroll", "uvBioEnroll", "largeBlobs", "userVerificationMgmtPreview"):
        assert served.option(name)


def test_an_option_goes_with_its_subcommand_or_member(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "SERVED", frozenset({0x01}))
    assert served.option("ep")
    assert not served.option("setMinPINLength")
    monkeypatch.setattr(info, "MEMBERS", {**info.MEMBERS, 0x1E: lambda _token: b""})
    assert served.option("perCredMgmtRO")
    monkeypatch.setattr(info, "MEMBERS", {})
    assert not served.option("perCredMgmtRO")


def test_a_large_blob_key_is_no_good_without_large_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    both = {**extensions.EXTENSIONS, "largeBlobKey": extensions.Extension()}
    monkeypatch.setattr(extensions, "EXTENSIONS", both)
    monkeypatch.setattr(commands, "COMMANDS", {})
    assert not served.extension("largeBlobKey")
    assert served.extension("credProtect")
    monkeypatch.setattr(commands, "COMMANDS", {0x0C: None})
    assert served.extension("largeBlobKey")


def test_algorithms() -> None:
    assert {number for number in CoseAlg if served.algorithm(number)} == set(ALGORITHMS)
    assert not served.algorithm(-65535)


def test_what_our_own_profiles_say_is_served() -> None:
    for profile in PROFILES.values():
        assert all(map(served.extension, profile.extensions))
        assert all(map(served.algorithm, profile.algorithms))
        assert all(map(served.pin_protocol_version, profile.pin_protocols))
        assert all(map(served.attestation_format, profile.attestation_formats))
        assert [name for name in profile.options if not served.option(name)] == []


def test_members() -> None:
    assert served.member(0x01)
    assert not served.member(0x20)
