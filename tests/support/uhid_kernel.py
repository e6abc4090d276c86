"""Stands in for the kernel behind /dev/uhid, as far as programs and the device can tell."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from fidokit.virtual.framing.uhid import EVENT_SIZE, UhidEvent

CREATE = struct.Struct("=I128s64s64sHHIIII")


@dataclass(frozen=True)
class Created:
    """What the device said of itself."""

    name: str
    phys: str
    uniq: str
    bus: int
    vendor: int
    product: int
    descriptor: bytes


class UhidKernel:
    """One /dev/uhid: gives the device its end, and is the programs' end.

    Args:
        sysfs: where the device is to be listed once it is made.
    """

    def __init__(self, sysfs: Path | None = None) -> None:
        self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.settimeout(10)
        self._sysfs = sysfs

    def open_node(self) -> int:
        """The descriptor that the device gets."""
        return self._theirs.detach()

    def event(self) -> tuple[int, bytes]:
        """The next event from the device: its kind and what follows; (0, nothing) at its end."""
        data = self._ours.recv(EVENT_SIZE)
        return (int.from_bytes(data[:4], "little"), data[4:]) if data else (0, b"")

    def create(self) -> Created:
        """Make the device that is asked for, and say so."""
        data = self._ours.recv(EVENT_SIZE)
        kind, name, phys, uniq, size, bus, vendor, product, *_ = CREATE.unpack_from(data)
        assert kind == UhidEvent.CREATE2
        descriptor = data[CREATE.size :]
        assert len(descriptor) == size
        texts = [text.rstrip(b"\0").decode() for text in (name, phys, uniq)]
        made = Created(texts[0], texts[1], texts[2], bus, vendor, product, descriptor)
        if self._sysfs is not None:
            place = self._sysfs / "hidraw7/device"
            place.mkdir(parents=True)
            (place / "uevent").write_text(f"HID_PHYS={made.phys}\nHID_UNIQ={made.uniq}\n")
        self.tell(UhidEvent.START, bytes(8))
        return made

    def tell(self, kind: int, body: bytes = b"") -> None:
        """Send an event."""
        self._ours.send(struct.pack("=I", kind) + body)

    def output(self, data: bytes) -> None:
        """A program wrote this to the device's node."""
        self.tell(UhidEvent.OUTPUT, data.ljust(4096, b"\0") + struct.pack("=HB", len(data), 1))

    def report(self) -> bytes:
        """The next report from the device."""
        kind, body = self.event()
        assert kind == UhidEvent.INPUT2
        size = int.from_bytes(body[:2], "little")
        assert len(body) == size + 2
        return body[2:]

    def close(self) -> None:
        """The kernel goes away."""
        self._ours.close()
