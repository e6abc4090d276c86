"""A platform that manages resident credentials: what the tests of that command share."""

from __future__ import annotations

import hashlib
from typing import Any

from fido2 import cbor
from tests.virtual.core.client import (
    RP,
    Made,
    Platform,
)

CM, CM_PREVIEW = 0x0A, 0x41
PIN_CODE = "motörhead"
CM_PERMISSION, MC_PERMISSION, GA_PERMISSION = 4, 1, 2
RP_HASH = hashlib.sha256(RP.encode()).digest()


class Manager:
    """A platform that manages one token's credentials, with a token of permission cm."""

    def __init__(self, platform: Platform, rp_id: str | None = None) -> None:
        self.platform = platform
        self.bench = platform.bench
        self.token = platform.token(PIN_CODE, CM_PERMISSION, rp_id)

    def request(self, sub: int, params: Any = None, token: bytes | None = None) -> dict[int, Any]:
        message = bytes([sub]) + (b"" if params is None else cbor.encode(params))
        request: dict[int, Any] = {1: sub, 3: self.platform.version}
        request[4] = self.platform.mac(token or self.token, message)
        return request if params is None else request | {2: params}

    def ok(self, sub: int, params: Any = None) -> Any:
        return self.bench.ok(CM, self.request(sub, params))

    def status(self, sub: int, params: Any = None) -> int:
        return self.bench.status(CM, self.request(sub, params))

    def next(self, sub: int, channel: int = 0) -> Any:
        return self.bench.ok(CM, {1: sub}, channel)

    def next_status(self, sub: int, channel: int = 0) -> int:
        return self.bench.status(CM, {1: sub}, channel)


def make(
    platform: Platform, rp: str = RP, user: bytes = b"ada", patch: dict[int, Any] | None = None
) -> Made:
    """A resident credential."""
    auth = platform.make_auth(platform.token(PIN_CODE, MC_PERMISSION, rp))
    members = {2: {"id": rp}, 3: {"id": user, "name": "Ada", "displayName": "Countess"}}
    return platform.bench.make({**members, **auth, **(patch or {})}, rk=True)


HASH_PARAMS = {1: RP_HASH}
