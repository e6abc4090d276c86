"""JSON shapes as snapshots, and docs/json.md held to them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fidokit.cli import schema
from fidokit.client.info import TokenInfo
from fidokit.client.tolerance import Departed
from fidokit.errors import WouldOverwrite
from fidokit.guide.demo import Step
from fidokit.guide.doctor import Finding, Status
from fidokit.inventory.key_list import Backup, KeyRow
from fidokit.keys.blobs import BlobRow, BlobTable
from fidokit.keys.resident_keys import DownloadResult
from fidokit.lab.named_tokens import VirtualSummary
from fidokit.tokens.access import TokenDetails, TokenSummary
from fidokit.tokens.owner import Configuration, Finger, PinStatus
from fidokit.types import CredentialId, KeyType, SkFlag, Transport
from fidokit.virtual.models.search import ModelSummary

ROW = KeyRow(
    fingerprint="SHA256:abc",
    key_type=KeyType.ED25519_SK,
    application="ssh:work",
    user="alice",
    comment="laptop",
    verify_required=True,
    touch_required=None,
    on_token=True,
    created=datetime(2026, 11, 22, 13, 0, tzinfo=UTC),
    files=(Path("/home/alice/.ssh/id"),),
    credential_id=CredentialId(b"\xc0\xff\xee"),
    public_line="sk-ssh-ed25519@openssh.com AAAA laptop",
    user_name="alice@laptop",
)

ROW_JSON = {
    "fingerprint": "SHA256:abc",
    "type": "ed25519-sk",
    "application": "ssh:work",
    "user": "alice",
    "user_name": "alice@laptop",
    "comment": "laptop",
    "verify_required": True,
    "touch_required": None,
    "on_token": True,
    "created": "2026-11-22T13:00:00+00:00",
    "files": ["/home/alice/.ssh/id"],
    "credential_id": "c0ffee",
    "public_key": "sk-ssh-ed25519@openssh.com AAAA laptop",
    "other_type": "",
    "application_cut": False,
}

INFO = TokenInfo(
    versions=("FIDO_2_1", "U2F_V2"),
    extensions=("credProtect",),
    options={"rk": True, "clientPin": True},
    pin_protocols=(2, 1),
    algorithms=(-7, -8),
    transports=("usb",),
    firmware_version=5,
    remaining_resident=24,
    max_credential_id_length=128,
)

PIN = PinStatus(
    set=True,
    retries=8,
    uv_retries=None,
    min_length=4,
    max_length=63,
    change_required=False,
    needs_power_cycle=False,
    supported=True,
)

PIN_JSON = {
    "supported": True,
    "set": True,
    "blocked": False,
    "retries": 8,
    "uv_retries": None,
    "min_length": 4,
    "max_length": 63,
    "change_required": False,
    "needs_power_cycle": False,
}


def summary(**changes: Any) -> TokenSummary:
    given: dict[str, Any] = {
        "selector": "usb:1",
        "durable": True,
        "transport": Transport.USB,
        "path": "/dev/hidraw3",
        "product": "Key",
        "serial": "1",
        "info": INFO,
    }
    return TokenSummary(**given | changes)


def test_token() -> None:
    assert schema.token(summary()) == {
        "selector": "usb:1",
        "durable": True,
        "transport": "usb",
        "path": "/dev/hidraw3",
        "product": "Key",
        "serial": "1",
        "versions": ["FIDO_2_1", "U2F_V2"],
        "pin_set": True,
        "problem": "",
        "hint": "",
        "identifier": None,
    }


def test_token_that_cannot_be_opened() -> None:
    data = schema.token(summary(info=None, problem="may not be opened", hint="see doctor"))
    assert (data["versions"], data["pin_set"]) == (None, None)
    assert (data["problem"], data["hint"]) == ("may not be opened", "see doctor")


def test_details() -> None:
    departed = (Departed("cbor-order", "sends them so"),)
    found = TokenDetails(
        name="Key", selector="usb:1", durable=True, info=INFO, pin=PIN, departures=departed
    )
    assert schema.details(found) == {
        "name": "Key",
        "selector": "usb:1",
        "durable": True,
        "identifier": None,
        "info": {
            "versions": ["FIDO_2_1", "U2F_V2"],
            "extensions": ["credProtect"],
            "aaguid": "00" * 16,
            "options": {"rk": True, "clientPin": True},
            "pin_protocols": [2, 1],
            "algorithms": [-7, -8],
            "transports": ["usb"],
            "firmware_version": 5,
            "remaining_resident": 24,
            "max_credential_id_length": 128,
            "u2f_only": False,
        },
        "pin": PIN_JSON,
        "departures": [{"name": "cbor-order", "sentence": "sends them so"}],
    }


def test_key() -> None:
    assert schema.key(ROW) == ROW_JSON


def test_downloaded_and_refused() -> None:
    written = DownloadResult(row=ROW, path=Path("out"), public_line="line")
    assert schema.downloaded(written) == {
        "path": "out",
        "public_key": "line",
        "certificate": None,
        "fingerprint": "SHA256:abc",
        "application": "ssh:work",
        "user": "alice",
        "error": None,
    }
    error = WouldOverwrite("out already exists", hint="move it")
    refused = DownloadResult(row=ROW, path=Path("out"), public_line="line", error=error)
    assert schema.downloaded(refused)["error"] == {
        "kind": "WouldOverwrite",
        "message": "out already exists",
        "hint": "move it",
        "exit_code": 9,
    }


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        (0x00, []),
        (0x01, ["touch-required"]),
        (0x05, ["touch-required", "verify-required"]),
        (0x31, ["touch-required", "force", "resident"]),
        (0x35, ["touch-required", "verify-required", "force", "resident"]),
    ],
)
def test_flag_names(flags: int, names: list[str]) -> None:
    assert schema.flag_names(SkFlag(flags)) == names


def test_finding() -> None:
    found = Finding("hid", Status.FAIL, "no", "do this")
    assert schema.finding(found) == {
        "id": "FK501",
        "check": "hid",
        "status": "fail",
        "sentence": "no",
        "hint": "do this",
    }


def test_step() -> None:
    done = Step(title="t", explanation="e", commands=("c",), result=("r",))
    assert schema.step(done) == {
        "title": "t",
        "explanation": "e",
        "commands": ["c"],
        "result": ["r"],
    }


def test_configuration() -> None:
    found = Configuration(True, None, False, 6, None, frozenset({3, 2}))
    assert schema.configuration(found) == {
        "always_uv": True,
        "enterprise_attestation": None,
        "long_touch_reset": False,
        "min_length": 6,
        "pin_complexity": None,
        "changeable": [2, 3],
    }


def test_fingerprint() -> None:
    assert schema.fingerprint(Finger(b"\xb1\xc3", "thumb")) == {
        "id": "b1c3",
        "name": "thumb",
    }


def test_blobs() -> None:
    table = BlobTable((BlobRow(ROW, 1432, None),), 2, None, None, False)
    assert schema.blobs(table) == {
        "blobs": [{"size": 1432, "stored": None, "key": ROW_JSON}],
        "others": 2,
        "used": None,
        "capacity": None,
        "damaged": False,
    }


def test_virtual_and_model() -> None:
    token = VirtualSummary("one", Path("/v/one.sqlite"), model="Key", withheld=("uvm",))
    assert schema.virtual(token) == {
        "name": "one",
        "selector": "virtual:one",
        "path": "/v/one.sqlite",
        "profile": "",
        "model": "Key",
        "withheld": ["uvm"],
        "quirks": [],
        "sealed": False,
        "problem": "",
    }
    model = ModelSummary("00", "Key", ("FIDO_2_0",), ("usb",), "REVOKED", True, ("uvm",))
    assert schema.model(model) == {
        "aaguid": "00",
        "description": "Key",
        "versions": ["FIDO_2_0"],
        "transports": ["usb"],
        "certification": "REVOKED",
        "untrusted": True,
        "withheld": ["uvm"],
    }


def documented() -> list[Mapping[str, Any]]:
    """Every JSON document in docs/json.md; that they parse is half of the test."""
    text = (Path(__file__).parents[2] / "docs" / "json.md").read_text()
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


def test_every_documented_document_has_its_schema() -> None:
    documents = documented()
    assert len(documents) > 10
    assert all(document["schema"] == 1 for document in documents)


def test_documented_members_are_the_ones_that_come() -> None:
    tokens = next(d for d in documented() if "tokens" in d)
    assert set(tokens["tokens"][0]) == set(schema.token(summary()))
    keys = next(d for d in documented() if "keys" in d)
    listed = {**ROW_JSON, **schema.certified(ROW), **schema.backup(Backup.HAS)}
    assert set(keys["keys"][0]) == set(listed)
    pins = next(d for d in documented() if "retries" in d.get("pin", {}))
    assert set(pins["pin"]) == set(PIN_JSON)
    info = next(d for d in documented() if "info" in d)
    details = TokenDetails(name="Key", selector="usb:1", durable=True, info=INFO, pin=PIN)
    shown = schema.details(details)["info"]
    assert isinstance(shown, dict)
    assert set(info["info"]) == set(shown)
