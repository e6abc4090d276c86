"""The other end of USB/IP: enough of a host to enumerate a device and to talk CTAPHID to it."""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass

from tests.support.ctaphid_host import Answer, HidHost, HostEvent, Opened, Refused

from fidokit.virtual.framing.ctaphid import REPORT_SIZE, HidCommand

PATIENCE_S = 20.0
_HEADER = 48


@dataclass(frozen=True)
class Reply:
    """RET_SUBMIT or RET_UNLINK."""

    command: int
    seqnum: int
    status: int
    actual: int
    data: bytes


class UsbIpHost:
    """A client of a USB/IP server, written from the kernel's document alone.

    Args:
        port: where the server listens on this machine.
    """

    def __init__(self, port: int) -> None:
        self.channel = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._numbers = itertools.count(1)
        self._inward: set[int] = set()
        self._replies: list[Reply] = []
        self.device_id = 0
        self.hid = HidHost()

    def close(self) -> None:
        """Hang up."""
        self.channel.close()

    def exactly(self, size: int) -> bytes:
        """So many bytes from the server.

        Raises:
            EOFError: it hung up before.
        """
        data = b""
        while len(data) < size:
            more = self.channel.recv(size - len(data))
            if not more:
                raise EOFError(data)
            data += more
        return data

    # --- before the import -----------------------------------------------------------------------

    def list_devices(self) -> list[bytes]:
        """What the server exports: 312 bytes each."""
        self.channel.sendall(bytes.fromhex("0111800500000000"))
        version, code, status, count = struct.unpack(">HHII", self.exactly(12))
        assert (version, code, status) == (0x0111, 0x0005, 0)
        found = []
        for _ in range(count):
            found.append(self.exactly(312))
            self.exactly(4 * found[-1][311])
        assert self.channel.recv(1) == b""
        return found

    def attach(self, bus_id: bytes = b"1-1") -> int:
        """Import a device; returns the status."""
        self.channel.sendall(bytes.fromhex("0111800300000000") + bus_id.ljust(32, b"\0"))
        version, code, status = struct.unpack(">HHI", self.exactly(8))
        assert (version, code) == (0x0111, 0x0003)
        if not status:
            device = self.exactly(312)
            assert device[256:288].rstrip(b"\0") == bus_id
            bus, number = struct.unpack(">II", device[288:296])
            self.device_id = bus << 16 | number
        return int(status)

    # --- transfers -------------------------------------------------------------------------------

    def submit(
        self, endpoint: int, *, length: int = 0, setup: bytes = b"", data: bytes = b""
    ) -> int:
        """Begin a transfer; returns its number."""
        number, inward = next(self._numbers), endpoint >> 7
        base = (1, number, self.device_id, inward, endpoint & 0x7F)
        head = struct.pack(">5I5I", *base, 0x200 * inward, length or len(data), 0, 0, 4)
        self.channel.sendall(head + setup.ljust(8, b"\0") + data)
        if inward:
            self._inward.add(number)  # only who sent a request knows whether bytes follow the reply
        return number

    def unlink(self, target: int) -> Reply:
        """Take a transfer back; returns what the server says of that."""
        number = next(self._numbers)
        head = struct.pack(">5II24x", 2, number, self.device_id, 0, 0, target)
        self.channel.sendall(head)
        return self.reply(number)

    def reply(self, number: int) -> Reply:
        """The reply of this number; others are kept for who waits for them."""
        while True:
            for reply in self._replies:
                if reply.seqnum == number:
                    self._replies.remove(reply)
                    return reply
            self._replies.append(self._next_reply())

    def _next_reply(self) -> Reply:
        head = self.exactly(_HEADER)
        command, number, *_ = struct.unpack(">5I", head[:20])
        status, actual = struct.unpack(">iI", head[20:28])
        data = self.exactly(actual) if command == 3 and number in self._inward else b""
        self._inward.discard(number)
        return Reply(command, number, status, actual, data)

    def control(self, packet: bytes, data: bytes = b"") -> Reply:
        """A control transfer to its end."""
        inward = packet[0] & 0x80
        length = int.from_bytes(packet[6:8], "little") if inward else 0
        return self.reply(self.submit(inward, length=length, setup=packet, data=data))

    def descriptor(self, kind: int, number: int = 0, *, of_interface: bool = False) -> bytes:
        """GET_DESCRIPTOR."""
        packet = struct.pack("<BBBBHH", 0x80 | of_interface, 6, number, kind, 0, 255)
        reply = self.control(packet)
        assert reply.status == 0
        return reply.data

    def enumerate(self) -> bytes:
        """Do what a host does with a new device; returns its report descriptor."""
        device = self.descriptor(1)
        assert len(device) == 18
        head = self.descriptor(2)
        assert int.from_bytes(head[2:4], "little") == len(head)
        for number in device[14:17]:
            assert self.descriptor(3, number)[1] == 3
        assert self.control(bytes.fromhex("0009010000000000")).status == 0
        assert self.control(bytes.fromhex("210a000000000000")).status == 0
        return self.descriptor(0x22, of_interface=True)

    # --- CTAPHID ---------------------------------------------------------------------------------

    def write(self, reports: Iterable[bytes]) -> None:
        """Send reports, each acknowledged."""
        for report in reports:
            reply = self.reply(self.submit(0x01, data=report))
            assert (reply.status, reply.actual) == (0, REPORT_SIZE)

    def read(self) -> bytes:
        """The next report."""
        reply = self.reply(self.submit(0x81, length=REPORT_SIZE))
        assert (reply.status, reply.actual) == (0, REPORT_SIZE)
        return reply.data

    def wait(self) -> HostEvent:
        """The next thing that CTAPHID brings this program."""
        while True:
            event = self.hid.receive(self.read(), _now_ms())
            if event is not None:
                return event

    def open(self) -> int:
        """A channel of CTAPHID."""
        self.write(self.hid.open(os.urandom(8), _now_ms()))
        opened = self.wait()
        assert isinstance(opened, Opened)
        return opened.channel

    def begin(self, command: HidCommand, payload: bytes = b"") -> None:
        """Send a request."""
        self.write(self.hid.send(command, payload, _now_ms()))

    def ask(self, command: HidCommand, payload: bytes = b"") -> Answer | Refused:
        """A request to its end."""
        self.begin(command, payload)
        while not isinstance(event := self.wait(), Answer | Refused):
            pass
        return event


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
