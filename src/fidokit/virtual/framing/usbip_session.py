"""One client's connection to the USB/IP server, without its socket: transfers wait for reports."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, assert_never

from fidokit.errors import Malformed
from fidokit.virtual.framing.ctaphid import FIRST_BIT, REPORT_SIZE, HidCommand
from fidokit.virtual.framing.usb_descriptors import ENDPOINT_IN
from fidokit.virtual.framing.usb_device import Stalled, UsbDevice
from fidokit.virtual.framing.usbip import (
    BUS_ID,
    DEVICE_ID,
    ImportRequest,
    ListRequest,
    OpStatus,
    Request,
    RequestReader,
    Submit,
    Unlink,
    UrbStatus,
    import_refusal,
    import_reply,
    list_reply,
    submit_reply,
    unlink_reply,
)

MOST_TRANSFERS: Final = 256
"""Transfers that may wait at a time; a host's HID driver has one in each direction."""
BUSY_FROM: Final = 160
"""With so many unread reports the device takes no more from the host: a message is 129 of them."""
MOST_REPORTS: Final = 2048
"""Unread reports; what comes on top is lost, as it is on a bus that nobody reads."""

_KEEPALIVE: Final = FIRST_BIT | HidCommand.KEEPALIVE


@dataclass(slots=True)
class Outcome:
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

    def receive(self, data: bytes) -> Outcome:
        """Take bytes from the client.

        Raises:
            Malformed: it does not speak USB/IP, or wants too much at once; hang up.
        """
        outcome = Outcome()
        for request in self._reader.feed(data):
            self._serve(request, outcome)
            if outcome.over:
                break
        return outcome

    def deliver(self, report: bytes) -> bytes:
        """Take a report from the token; returns what is to be written to the client."""
        # Nobody reads: what the token waits for now is no news by the time somebody does.
        stale = self._unread and report[4] == _KEEPALIVE
        if not stale and len(self._unread) < MOST_REPORTS:
            self._unread.append(report)
        outcome = Outcome()
        self._pair(outcome)
        return bytes(outcome.replies)

    def _serve(self, request: Request, outcome: Outcome) -> None:
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

    def _import(self, bus_id: str, outcome: Outcome) -> None:
        status = self._claim() if bus_id == BUS_ID else OpStatus.NO_DEVICE
        if status is not OpStatus.OK:
            outcome.replies += import_refusal(status)
            outcome.over = True
            return
        self._reader.imported = True
        self._device.reset()
        outcome.replies += import_reply(self._device.identity)

    # --- transfers -------------------------------------------------------------------------------

    def _submit(self, transfer: Submit, outcome: Outcome) -> None:
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

    def _control(self, transfer: Submit, outcome: Outcome) -> None:
        try:
            data = self._device.control(transfer.setup, transfer.data)
        except Stalled:
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
        self, waiting: OrderedDict[int, Submit], transfer: Submit, fits: bool, outcome: Outcome
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

    def _pair(self, outcome: Outcome) -> None:
        """Give reports to transfers that wait for them, and transfers' to a token with room."""
        while self._inward and self._unread:
            _, transfer = self._inward.popitem(last=False)
            outcome.replies += submit_reply(transfer, UrbStatus.OK, self._unread.popleft())
        while self._outward and len(self._unread) < BUSY_FROM:
            _, transfer = self._outward.popitem(last=False)
            outcome.reports.append(transfer.data.ljust(REPORT_SIZE, b"\0"))
            outcome.replies += submit_reply(transfer, UrbStatus.OK, sent=len(transfer.data))
