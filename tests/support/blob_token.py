"""A token that does nothing but keep the large-blob array, as CTAP 2.3 section 6.10 has it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from tests.support.fake_link import GET_INFO, ok

from fidokit import cbor
from fidokit.client.ports import CBOR

GET_ASSERTION = 0x02
EMPTY = bytes.fromhex("8076be8b528d0075f7aae98d6fa57a6d3c")


def with_checksum(array: bytes) -> bytes:
    """The array and its checksum."""
    return array + hashlib.sha256(array).digest()[:16]


class BlobToken:
    """A `Link`; wants no PIN. Size limits in bytes; `requests` are the maps it got."""

    capabilities = CBOR

    def __init__(self, *, capacity: int = 1024, max_msg_size: int = 1024, array: bytes = EMPTY):
        self.capacity = capacity
        self.max_msg_size = max_msg_size
        self.array = array
        self.requests: list[dict[int, object]] = []
        self._upload = b""
        self._length = 0

    def info(self) -> bytes:
        return ok(
            {
                **GET_INFO,
                2: ["credProtect", "largeBlobKey"],
                4: {"rk": True, "largeBlobs": True, "clientPin": False, "credMgmt": True},
                5: self.max_msg_size,
                11: self.capacity,
            }
        )

    def cbor(
        self, request: bytes, _keepalive: Callable[[int], None], _canceled: Callable[[], bool]
    ) -> bytes:
        if request == b"\x04":
            return self.info()
        if request[0] == GET_ASSERTION:  # of a key without a largeBlobKey
            return ok({2: bytes(37), 3: b"signature"})
        assert request[0] == 0x0C
        members = cbor.decode(request[1:])
        assert isinstance(members, dict)
        self.requests.append(members)  # type: ignore[arg-type]
        return self._get(members) if 1 in members else self._set(members)  # type: ignore[arg-type]

    def _get(self, members: dict[int, int]) -> bytes:
        size, offset = members[1], members[3]
        assert set(members) == {1, 3}
        assert size <= self.max_msg_size - 64
        if offset > len(self.array):
            return b"\x02"
        return ok({1: self.array[offset : offset + size]})

    def _set(self, members: dict[int, object]) -> bytes:
        fragment, offset = members[2], members[3]
        assert isinstance(fragment, bytes)
        assert len(fragment) <= self.max_msg_size - 64
        if offset == 0:
            self._upload, self._length = b"", members[4]  # type: ignore[assignment]
            if self._length > self.capacity:
                return b"\x18"
        elif offset != len(self._upload) or 4 in members:
            return b"\x04"
        self._upload += fragment
        if len(self._upload) < self._length:
            return ok()
        if with_checksum(self._upload[:-16]) != self._upload:
            return b"\x3d"
        self.array = self._upload
        return ok()

    def msg(self, apdu: bytes) -> bytes:
        raise OSError(19, "No such device")

    def wink(self) -> None:
        """Nothing blinks."""

    def close(self) -> None:
        """Nothing to let go of."""
