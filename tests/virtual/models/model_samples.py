"""Documents of models that nobody makes."""

from __future__ import annotations

from typing import Any

AAGUID = "00112233-4455-6677-8899-aabbccddeeff"

INFO: dict[str, Any] = {
    "versions": ["U2F_V2", "FIDO_2_0", "FIDO_2_1"],
    "extensions": ["credProtect", "hmac-secret"],
    "aaguid": AAGUID.replace("-", ""),
    "options": {"rk": True, "clientPin": True, "pinUvAuthToken": True, "credMgmt": True},
    "maxMsgSize": 1200,
    "pinUvAuthProtocols": [2, 1],
    "maxCredentialCountInList": 8,
    "maxCredentialIdLength": 128,
    "transports": ["usb", "nfc"],
    "algorithms": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -8}],
    "minPINLength": 6,
    "firmwareVersion": 329473,
    "remainingDiscoverableCredentials": 25,
}

INFO_2_0: dict[str, Any] = {
    "versions": ["FIDO_2_0"],
    "aaguid": AAGUID.replace("-", ""),
    "options": {"rk": True, "clientPin": True},
}


def document(info: dict[str, Any] | None = None, /, **changes: Any) -> dict[str, object]:
    """A document whose getInfo has these members changed; None removes one."""
    merged = {**(INFO if info is None else info), **changes}
    return {
        "aaguid": AAGUID,
        "description": "Example Key One",
        "getInfo": {name: value for name, value in merged.items() if value is not None},
    }
