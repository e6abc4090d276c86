"""USB/IP's messages, version 1.1.1: requests read from bytes as they come, replies written; and a
client's connection without its socket, in which transfers wait for reports.

Source: the Linux kernel's Documentation/usb/usbip_protocol.rst. All numbers are big-endian, setup
packets and descriptors within are USB's own.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias, assert_never

from fidokit.errors import Malformed
from fidokit.virtual.framing.ctaphid import FIRST_BIT, REPORT_SIZE, HidCommand
from fidokit.virtual.framing.usb_descriptors import (
    CONFIGURATION,
    ENDPOINT_IN,
    HID_CLASS,
    UsbIdentity,
)
from fidokit.virtual.framing.usb_device import PipeStalled, UsbDevice

VERSION: Final = 0x0111
BUS_ID: Final = "1-1"
BUS_NUMBER: Final = 1
DEVICE_NUMBER: Final = 2
DEVICE_ID: Final = BUS_NUMBER << 16 | DEVICE_NUMBER
MAX_TRANSFER: Final = 4096
"""The longest transfer that a host may send; a token's own are 64 bytes."""

_PATH: Final = f"/sys/devices/virtual/fidokit/{BUS_ID}"
_FULL_SPEED: Final = 2
_NO_ISO: Final = frozenset({0, 0xFFFFFFFF})

_OP: Final = struct.Struct(">HHI")
_BUS_ID_SIZE: Final = 32
_DEVICE: Final = struct.Struct(f">256s{_BUS_ID_SIZE}sIIIHHHBBBBBB")
_INTERFACE: Final = struct.Struct(">BBBB")
_HEADER: Final = struct.Struct(">5I5I8s")
_RET_SUBMIT: Final = struct.Struct(">5IiIIII8x")
_RET_UNLINK: Final = struct.Struct(">5Ii24x")


class Op(IntEnum):
    """Codes of what comes before a device is imported."""

    REQ_DEVLIST = 0x8005
    REP_DEVLIST = 0x0005
    REQ_IMPORT = 0x8003
    REP_IMPORT = 0x0003


class UsbipCommand(IntEnum):
    """Codes of what comes after."""

    CMD_SUBMIT = 1
    CMD_UNLINK = 2
    RET_SUBMIT = 3
    RET_UNLINK = 4


class OpStatus(IntEnum):
    """Why an import is refused, as usbip's own tools number it."""

    OK = 0
    BUSY = 2
    NO_DEVICE = 4


class UrbStatus(IntEnum):
    """How a transfer ended: Linux error numbers, negative whatever system this is."""

    OK = 0
    NO_DEVICE = -19
    STALLED = -32
    OVERFLOW = -75
    UNLINKED = -104


@dataclass(frozen=True, slots=True)
class ListRequest:
    """u16 version, u16 code 8005, u32 status 0."""


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """u16 version, u16 code 8003, u32 status 0, 32 bytes bus id, filled with zeros."""

    bus_id: str


@dataclass(frozen=True, slots=True)
class Submit:
    """CMD_SUBMIT: a transfer that the host wants.

    u32 command 1, u32 seqnum, u32 device id, u32 direction, u32 endpoint, u32 flags, u32 length,
    u32 start frame, u32 number of packets, u32 interval, 8 bytes setup, then `length` bytes where
    the direction is 0 (out).
    """

    seqnum: int
    device_id: int
    endpoint: int
    """The endpoint's number, with the top bit of USB's address (80) where the direction is in."""
    length: int
    frame: int
    packets: int
    """This and the frame mean nothing here; the answer repeats them, as the kernel's does."""
    setup: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class Unlink:
    """CMD_UNLINK: the header begins as CMD_SUBMIT's, command 2; u32 seqnum to unlink, 24 zeros."""

    seqnum: int
    target: int


Request: TypeAlias = ListRequest | ImportRequest | Submit | Unlink


class RequestReader:
    """Cuts a client's bytes into requests; what it holds back is shorter than one request.

    `imported` is to be set when an import was granted: another kind of requests follows.
    """

    def __init__(self) -> None:
        self.imported = False
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Request]:
        """Take bytes as they come; yields what is complete, one by one.

        Raises:
            Malformed: no request of this version begins so, or it is too long.
        """
        self._buffer += data
        while (request := self._urb() if self.imported else self._op()) is not None:
            yield request

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _op(self) -> ListRequest | ImportRequest | None:
        if len(self._buffer) < _OP.size:
            return None
        version, code, _ = _OP.unpack_from(self._buffer)
        if version != VERSION:
            raise Malformed(f"USB/IP version {version:04x}, not {VERSION:04x}")
        if code == Op.REQ_DEVLIST:
            self._take(_OP.size)
            return ListRequest()
        if code != Op.REQ_IMPORT:
            raise Malformed(f"USB/IP request {code:04x}")
        if len(self._buffer) < _OP.size + _BUS_ID_SIZE:
            return None
        bus_id = self._take(_OP.size + _BUS_ID_SIZE)[_OP.size :]
        return ImportRequest(bus_id.partition(b"\0")[0].decode("ascii", "backslashreplace"))

    def _urb(self) -> Submit | Unlink | None:
        if len(self._buffer) < _HEADER.size:
            return None
        command, seqnum, device_id, inward, number, *rest = _HEADER.unpack_from(self._buffer)
        if command == UsbipCommand.CMD_UNLINK:
            self._take(_HEADER.size)
            return Unlink(seqnum, rest[0])
        if command != UsbipCommand.CMD_SUBMIT:
            raise Malformed(f"USB/IP command {command:08x}")
        _flags, length, frame, packets, _interval, setup = rest
        if packets not in _NO_ISO:
            raise Malformed("an isochronous transfer")
        if not inward and length > MAX_TRANSFER:
            raise Malformed(f"a transfer of {length} bytes")
        sent = 0 if inward else length
        if len(self._buffer) < _HEADER.size + sent:
            return None
        data = self._take(_HEADER.size + sent)[_HEADER.size :]
        endpoint = number & 0x7F | (0x80 if inward else 0)
        return Submit(seqnum, device_id, endpoint, length, frame, packets, setup, data)


def list_reply(identity: UsbIdentity | None) -> bytes:
    """OP_REP_DEVLIST: u32 number of devices, and each with its interfaces.

    Args:
        identity: of the one device, None if there is none.
    """
    head = _OP.pack(VERSION, Op.REP_DEVLIST, OpStatus.OK)
    if identity is None:
        return head + bytes(4)
    return head + (1).to_bytes(4) + _device(identity) + _INTERFACE.pack(HID_CLASS, 0, 0, 0)


def import_reply(identity: UsbIdentity) -> bytes:
    """OP_REP_IMPORT that grants: the device, without its interfaces."""
    return _OP.pack(VERSION, Op.REP_IMPORT, OpStatus.OK) + _device(identity)


def import_refusal(status: OpStatus) -> bytes:
    """OP_REP_IMPORT that refuses: it ends with the status."""
    return _OP.pack(VERSION, Op.REP_IMPORT, status)


def submit_reply(transfer: Submit, status: UrbStatus, data: bytes = b"", *, sent: int = 0) -> bytes:
    """RET_SUBMIT: i32 status, u32 actual length, start frame, packets, and what the device sent.

    Args:
        transfer: what is answered.
        status: how it ended.
        data: from the device.
        sent: in place of data, how many bytes the device took.
    """
    base = UsbipCommand.RET_SUBMIT, transfer.seqnum, 0, 0, 0
    actual = len(data) or sent
    return _RET_SUBMIT.pack(*base, status, actual, transfer.frame, transfer.packets, 0) + data


def unlink_reply(seqnum: int, status: UrbStatus) -> bytes:
    """RET_UNLINK: i32 status, UNLINKED where the transfer was waiting and OK if it was over."""
    return _RET_UNLINK.pack(*(UsbipCommand.RET_UNLINK, seqnum, 0, 0, 0), status)


def _device(identity: UsbIdentity) -> bytes:
    return _DEVICE.pack(
        _PATH.encode(),
        BUS_ID.encode(),
        *(BUS_NUMBER, DEVICE_NUMBER, _FULL_SPEED),
        *(identity.vendor_id, identity.product_id, identity.release),
        *(0, 0, 0, CONFIGURATION, 1, 1),
    )


MOST_TRANSFERS: Final = 256
"""Transfers that may wait at a time; a host's HID driver has one in each direction."""
BUSY_FROM: Final = 160
"""With so many unread reports the device takes no more from the host: a message is 129 of them."""
MOST_REPORTS: Final = 2048
"""Unread reports; what comes on top is lost, as it is on a bus that nobody reads."""

_KEEPALIVE: Final = FIRST_BIT | HidCommand.KEEPALIVE


@dataclass(slots=True)
class SessionOutcome:
    """What some bytes of the client led to.

    Args:
        replies: to be written to it.
        reports: for the token, in order.
        reset: the token is to forget what is going on, before those reports.
        over: the connection is to be closed after the replies.
    """

    replies: bytearray = field(default_factory=bytearray)
    reports: list[bytes] = field(default_factory=list)
    reset: bool = False
    over: bool = False


class UsbIpSession:
    """The machine.

    Args:
        device: what is exported.
        claim: asked at an import: OK takes the device, anything else refuses.
        present: whether the device is there to be listed.
    """

    def __init__(
        self, device: UsbDevice, claim: Callable[[], OpStatus], present: Callable[[], bool]
    ) -> None:
        self._device = device
        self._claim = claim
        self._present = present
        self._reader = RequestReader()
        self._inward: OrderedDict[int, Submit] = OrderedDict()
        self._outward: OrderedDict[int, Submit] = OrderedDict()
        self._unread: deque[bytes] = deque()

    @property
    def imported(self) -> bool:
        """Whether this client has the device."""
        return self._reader.imported

    def receive(self, data: bytes) -> SessionOutcome:
        """Take bytes from the client.

        Raises:
            Malformed: it does not speak USB/IP, or wants too much at once; hang up.
        """
        outcome = SessionOutcome()
        for request in self._reader.feed(data):
            self._serve(request, outcome)
            if outcome.over:
                break
        return outcome

    def deliver(self, report: bytes) -> bytes:
        """Take a report from the token; returns what is to be written to the client."""
        # Nobody reads: what the token waits for now is not news by the time somebody does.
        stale = self._unread and report[4] == _KEEPALIVE
        if not stale and len(self._unread) < MOST_REPORTS:
            self._unread.append(report)
        outcome = SessionOutcome()
        self._pair(outcome)
        return bytes(outcome.replies)

    def _serve(self, request: Request, outcome: SessionOutcome) -> None:
        match request:
            case ListRequest():
                outcome.replies += list_reply(self._device.identity if self._present() else None)
                outcome.over = True
            case ImportRequest(bus_id):
                self._import(bus_id, outcome)
            case Submit():
                self._submit(request, outcome)
            case Unlink(seqnum, target):
                waited = self._inward.pop(target, None) or self._outward.pop(target, None)
                status = UrbStatus.UNLINKED if waited else UrbStatus.OK
                outcome.replies += unlink_reply(seqnum, status)
            case _:
                assert_never(request)

    def _import(self, bus_id: str, outcome: SessionOutcome) -> None:
        status = self._claim() if bus_id == BUS_ID else OpStatus.NO_DEVICE
        if status is not OpStatus.OK:
            outcome.replies += import_refusal(status)
            outcome.over = True
            return
        self._reader.imported = True
        self._device.reset()
        outcome.replies += import_reply(self._device.identity)

    # --- transfers -------------------------------------------------------------------------------

    def _submit(self, transfer: Submit, outcome: SessionOutcome) -> None:
        if transfer.device_id != DEVICE_ID:
            outcome.replies += submit_reply(transfer, UrbStatus.NO_DEVICE)
        elif not transfer.endpoint & 0x7F:
            self._control(transfer, outcome)
        elif not self._device.takes(transfer.endpoint):
            outcome.replies += submit_reply(transfer, UrbStatus.STALLED)
        elif transfer.endpoint == ENDPOINT_IN:
            self._await(self._inward, transfer, transfer.length >= REPORT_SIZE, outcome)
        else:
            self._await(self._outward, transfer, transfer.length <= REPORT_SIZE, outcome)

    def _control(self, transfer: Submit, outcome: SessionOutcome) -> None:
        try:
            data = self._device.control(transfer.setup, transfer.data)
        except PipeStalled:
            outcome.replies += submit_reply(transfer, UrbStatus.STALLED)
            return
        if self._device.take_reset():
            outcome.reset = True
            outcome.reports.clear()
            self._unread.clear()
        outcome.reports += self._device.take_reports()
        fits = data[: transfer.length]
        outcome.replies += submit_reply(transfer, UrbStatus.OK, fits, sent=len(transfer.data))

    def _await(
        self,
        waiting: OrderedDict[int, Submit],
        transfer: Submit,
        fits: bool,
        outcome: SessionOutcome,
    ) -> None:
        if not fits:
            outcome.replies += submit_reply(transfer, UrbStatus.OVERFLOW)
            return
        if len(self._inward) + len(self._outward) >= MOST_TRANSFERS:
            raise Malformed(f"more than {MOST_TRANSFERS} transfers at a time")
        if transfer.seqnum in self._inward or transfer.seqnum in self._outward:
            raise Malformed(f"two transfers of number {transfer.seqnum}")
        waiting[transfer.seqnum] = transfer
        self._pair(outcome)

    def _pair(self, outcome: SessionOutcome) -> None:
        """Give reports to transfers that wait for them, and transfers' to a token with room."""
        while self._inward and self._unread:
            _, transfer = self._inward.popitem(last=False)
            outcome.replies += submit_reply(transfer, UrbStatus.OK, self._unread.popleft())
        while self._outward and len(self._unread) < BUSY_FROM:
            _, transfer = self._outward.popitem(last=False)
            outcome.reports.append(transfer.data.ljust(REPORT_SIZE, b"\0"))
            outcome.replies += submit_reply(transfer, UrbStatus.OK, sent=len(transfer.data))
