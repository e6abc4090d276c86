"""Metadata of two makers who do not exist, small enough to be spoilt member by member."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

ROOT = b"\x30\x03\x02\x01\x05"

ENTRY: dict[str, Any] = {
    "aaguid": "00112233-4455-6677-8899-aabbccddeeff",
    "metadataStatement": {
        "aaguid": "00112233-4455-6677-8899-aabbccddeeff",
        "description": "Example Key One",
        "protocolFamily": "fido2",
        "authenticationAlgorithms": [
            "ed25519_eddsa_sha512_raw",
            "secp256r1_ecdsa_sha256_raw",
            "secp256r1_ecdsa_sha256_der",
            "sm2_sm3_raw",
        ],
        "attestationTypes": ["basic_full"],
        "attestationRootCertificates": [base64.encodebytes(ROOT).decode()],
        "authenticatorGetInfo": {
            "versions": ["U2F_V2", "FIDO_2_0"],
            "aaguid": "00112233445566778899aabbccddeeff",
            "options": {"rk": True, "clientPin": False},
        },
    },
    "statusReports": [
        {"status": "FIDO_CERTIFIED", "effectiveDate": "2024-01-01"},
        {"status": "FIDO_CERTIFIED_L2", "effectiveDate": "2025-06-01"},
    ],
}

U2F_ENTRY: dict[str, Any] = {
    "attestationCertificateKeyIdentifiers": ["0123456789abcdef0123456789abcdef01234567"],
    "metadataStatement": {"description": "Example U2F Key", "protocolFamily": "u2f"},
    "statusReports": [{"status": "REVOKED"}],
}


def entry(**changes: Any) -> dict[str, Any]:
    """ENTRY with members changed; a dotted name reaches inside, `__` for the dot; None removes."""
    made = copy.deepcopy(ENTRY)
    for path, value in changes.items():
        *outer, last = path.split("__")
        place = made
        for name in outer:
            place = place[name]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return made


def named(description: str, number: int) -> dict[str, Any]:
    """An entry of this description, with an AAGUID of this number."""
    return entry(
        aaguid=f"{number:032x}",
        metadataStatement__description=description,
    )


def write(folder: Path, *entries: Any) -> Path:
    """A file with these entries."""
    path = folder / "metadata.json"
    path.write_text(json.dumps({"no": 1, "entries": list(entries)}))
    return path
