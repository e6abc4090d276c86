"""A stand-in says of itself what its model says, but for what is withheld and what is state."""

from __future__ import annotations

from typing import Any

from tests.models import certified

from fidokit import cbor
from fidokit.metadata.model import Model
from fidokit.virtual.models import profiles
from fidokit.virtual.models.form import MEMBERS
from fidokit.virtual.token import VirtualToken

OF_STATE = {"clientPin", "uv", "bioEnroll", "userVerificationMgmtPreview", "makeCredUvNotRqd"}
"""Options that a token in use has otherwise than a fresh one."""

BESIDE = {
    "aaguid",  # one entry's getInfo names another model's
    "forcePINChange",  # of a PIN that a fresh token does not have
    "encIdentifier",  # differ in every answer
    "encCredStoreState",
    "uvCountSinceLastPinEntry",  # counts
}


def said_by(token: VirtualToken) -> dict[int, Any]:
    reply = token.link().cbor(b"\x04", lambda _status: None, lambda: False)
    value: Any = cbor.decode(reply[1:])
    assert isinstance(value, dict)
    return dict(value)


def claimed(model: Model, withheld: set[str]) -> dict[int, Any]:
    """What the metadata lets us expect."""
    info: dict[str, Any] = dict(model.get_info or {})
    kept = {
        name: value for name, value in info.items() if name in MEMBERS and value not in ([], {})
    }
    said = {k: _of_member(k, v, withheld) for k, v in kept.items() if k not in withheld | BESIDE}
    return {MEMBERS[name].number: value for name, value in said.items() if value not in ([], {})}


def _of_member(name: str, value: Any, withheld: set[str]) -> Any:
    match name:
        case "options":
            gone = withheld | OF_STATE
            return {option: on for option, on in value.items() if option not in gone}
        case "extensions":
            return [extension for extension in value if extension not in withheld]
        case "algorithms":
            algorithms = (entry for entry in value if profiles.has_algorithm(entry["alg"]))
            return [entry for entry in algorithms if f"algorithm {entry['alg']}" not in withheld]
        case "transportsForReset":
            return [transport.lower() for transport in value]
        case "pinComplexityPolicyURL":
            return bytes.fromhex(value)
        case _:
            return value


def comparable(said: dict[int, Any]) -> dict[int, Any]:
    left_out = {MEMBERS[name].number for name in BESIDE}
    made = {number: value for number, value in said.items() if number not in left_out}
    if 0x04 in made:
        made[0x04] = {name: on for name, on in made[0x04].items() if name not in OF_STATE}
    return {number: value for number, value in made.items() if value not in ([], {})}


@certified.every_model
def test_getinfo_of_a_stand_in_is_its_models(model: Model) -> None:
    withheld = set(profiles.impersonate(model.document()).withheld)
    with VirtualToken(model=model.document()) as token:
        said = said_by(token)
    expected = claimed(model, withheld)
    options = said.get(0x04, {})
    if options.get("alwaysUv") and not options.get("uv"):  # which shuts U2F off (GI-14)
        expected[0x01] = [version for version in expected[0x01] if version != "U2F_V2"]
    assert comparable(said) == expected
    assert said[0x03] == model.aaguid


@certified.every_model
def test_a_fresh_stand_in_has_no_pin(model: Model) -> None:
    with VirtualToken(model=model.document()) as token:
        assert said_by(token).get(0x04, {}).get("clientPin", False) is False
