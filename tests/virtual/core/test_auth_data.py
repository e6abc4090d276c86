"""Authenticator data against a parser written for the tests."""

from __future__ import annotations

from typing import Any

import pytest
from tests.virtual.core.client import AuthData

from fidokit.virtual.core import auth_data

RP_HASH = bytes(range(32))
KEY: dict[int, Any] = {1: 1, 3: -8, -1: 6, -2: bytes(32)}


@pytest.mark.check("GA-16", "MC-34", "EXT-01")
@pytest.mark.parametrize("attested", [True, False])
@pytest.mark.parametrize("outputs", [{}, {"credProtect": 2}])
@pytest.mark.parametrize("flags", [0, auth_data.UP, auth_data.UP | auth_data.UV])
def test_round_trip(attested: bool, outputs: dict[str, int], flags: int) -> None:
    credential = auth_data.attested_credential(b"a" * 16, b"id", KEY) if attested else b""
    built = auth_data.build(RP_HASH, flags, 0xFFFFFFFF, outputs, credential)
    parsed = AuthData.parse(built)
    assert (parsed.rp_id_hash, parsed.counter) == (RP_HASH, 0xFFFFFFFF)
    assert parsed.flags == flags | (0x40 if attested else 0) | (0x80 if outputs else 0)
    assert (parsed.extensions or {}) == outputs
    if attested:
        assert (parsed.aaguid, parsed.credential_id, parsed.key) == (b"a" * 16, b"id", KEY)
    else:
        assert len(built) == 37 or outputs
