"""A virtual token's link as python-fido2 sees a device, so that its client can judge the token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

from fido2.ctap import STATUS, CtapDevice
from fido2.hid import CAPABILITY, CTAPHID

from fidokit.virtual.transports.memory import MemoryLink


class LinkDevice(CtapDevice):
    """CTAPHID's commands, without its framing, on a link."""

    def __init__(self, link: MemoryLink) -> None:
        self.link = link

    @property
    def capabilities(self) -> int:
        return CAPABILITY(self.link.capabilities)

    def call(
        self,
        cmd: int,
        data: bytes = b"",
        event: Event | None = None,
        on_keepalive: Callable[[STATUS], None] | None = None,
    ) -> bytes:
        if cmd == CTAPHID.MSG:
            return self.link.msg(data)
        assert cmd == CTAPHID.CBOR
        canceled = event.is_set if event else lambda: False
        told: Any = on_keepalive or (lambda _: None)  # STATUS is an int
        return self.link.cbor(data, told, canceled)

    def close(self) -> None:
        self.link.close()

    @classmethod
    def list_devices(cls) -> Iterator[CtapDevice]:
        return iter(())
