"""A token as a USB 2.0 device: control requests answered, no bus beneath (USB 2.0 chapter 9)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from fidokit.virtual.framing.ctaphid import REPORT_SIZE
from fidokit.virtual.framing.usb_descriptors import (
    CONFIGURATION,
    ENDPOINT_IN,
    ENDPOINT_OUT,
    REPORT_DESCRIPTOR,
    DescriptorType,
    UsbIdentity,
    configuration_descriptor,
    device_descriptor,
    hid_descriptor,
    string_descriptor,
)

_ENDPOINT_HALT: Final = 0
_OUTPUT_REPORT: Final = 2
_REPORT_PROTOCOL: Final = 1


class PipeStalled(Exception):
    """The device refuses a request, as USB has it: it stalls its pipe."""


@dataclass(frozen=True, slots=True)
class Setup:
    """u8 bmRequestType, u8 bRequest, u16 wValue, u16 wIndex, u16 wLength, all little-endian.

    Source: USB 2.0 section 9.3.
    """

    kind: int
    request: int
    value: int
    index: int
    length: int

    @classmethod
    def parse(cls, packet: bytes) -> Setup:
        """Read a setup packet of 8 bytes."""
        return cls(*struct.unpack("<BBHHH", packet))


class UsbDevice:
    """The device's end of its control pipe, and the state that comes with it.

    Args:
        identity: who it is.
    """

    def __init__(self, identity: UsbIdentity) -> None:
        self.identity = identity
        self._reports: list[bytes] = []
        self._was_reset = False
        self._begin()

    def _begin(self) -> None:
        self.configuration = CONFIGURATION
        self._halted: set[int] = set()
        self._idle = 0
        self._protocol = _REPORT_PROTOCOL

    def reset(self) -> None:
        """Be as after plugging in and being configured by who exports it."""
        self._begin()
        self._reports.clear()
        self._was_reset = False

    def control(self, packet: bytes, data: bytes) -> bytes:
        """Answer a control transfer.

        Args:
            packet: the setup packet, 8 bytes.
            data: what the host sends with it, or nothing.

        Returns:
            What the device sends, at most as much as the host asked for.

        Raises:
            PipeStalled: it does not know or not allow this.
        """
        setup = Setup.parse(packet)
        handler = _REQUESTS.get((setup.kind, setup.request))
        if handler is None:
            raise PipeStalled
        return handler(self, setup, data)[: setup.length]

    def takes(self, endpoint: int) -> bool:
        """Whether an endpoint of this address is there and not halted."""
        known = endpoint in {ENDPOINT_IN, ENDPOINT_OUT} and self.configuration
        return bool(known) and endpoint not in self._halted

    def take_reports(self) -> list[bytes]:
        """Reports that came over the control pipe since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def take_reset(self) -> bool:
        """Whether the host configured the device anew since the last call."""
        was_reset, self._was_reset = self._was_reset, False
        return was_reset

    # --- requests --------------------------------------------------------------------------------

    def _get_status(self, setup: Setup, _data: bytes) -> bytes:
        _require(not setup.value)
        return bytes(2)  # bus powered, no remote wake-up; nothing to say of the interface

    def _get_endpoint_status(self, setup: Setup, _data: bytes) -> bytes:
        _require(setup.index in {ENDPOINT_IN, ENDPOINT_OUT, 0x00, 0x80})
        return bytes([setup.index in self._halted, 0])

    def _set_halt(self, setup: Setup, _data: bytes) -> bytes:
        _require(setup.value == _ENDPOINT_HALT and setup.index in {ENDPOINT_IN, ENDPOINT_OUT})
        self._halted.add(setup.index)
        return b""

    def _clear_halt(self, setup: Setup, _data: bytes) -> bytes:
        _require(setup.value == _ENDPOINT_HALT)
        self._halted.discard(setup.index)
        return b""

    def _set_address(self, _setup: Setup, _data: bytes) -> bytes:
        return b""  # the other end's host controller gives addresses; there is no bus here

    def _get_descriptor(self, setup: Setup, _data: bytes) -> bytes:
        kind, number = divmod(setup.value, 0x100)
        if kind == DescriptorType.DEVICE and not number:
            return device_descriptor(self.identity)
        if kind == DescriptorType.CONFIGURATION and not number:
            return configuration_descriptor()
        text = string_descriptor(self.identity, number)
        if kind != DescriptorType.STRING or text is None:
            raise PipeStalled
        return text

    def _get_class_descriptor(self, setup: Setup, _data: bytes) -> bytes:
        kind, number = divmod(setup.value, 0x100)
        _require(not number and not setup.index)
        if kind == DescriptorType.HID:
            return hid_descriptor()
        _require(kind == DescriptorType.REPORT)
        return REPORT_DESCRIPTOR

    def _get_configuration(self, _setup: Setup, _data: bytes) -> bytes:
        return bytes([self.configuration])

    def _set_configuration(self, setup: Setup, _data: bytes) -> bytes:
        _require(setup.value in {0, CONFIGURATION})
        self._begin()
        self.configuration = setup.value
        self._was_reset = True
        return b""

    def _get_interface(self, setup: Setup, _data: bytes) -> bytes:
        _require(not setup.index)
        return bytes(1)

    def _set_interface(self, setup: Setup, _data: bytes) -> bytes:
        _require(not setup.value and not setup.index)
        self._halted.clear()
        return b""

    def _get_idle(self, _setup: Setup, _data: bytes) -> bytes:
        return bytes([self._idle])

    def _set_idle(self, setup: Setup, _data: bytes) -> bytes:
        self._idle = setup.value >> 8
        return b""

    def _get_protocol(self, _setup: Setup, _data: bytes) -> bytes:
        return bytes([self._protocol])

    def _set_protocol(self, setup: Setup, _data: bytes) -> bytes:
        _require(setup.value in {0, _REPORT_PROTOCOL})
        self._protocol = setup.value
        return b""

    def _set_report(self, setup: Setup, data: bytes) -> bytes:
        _require(setup.value == _OUTPUT_REPORT << 8 and len(data) == REPORT_SIZE)
        self._reports.append(data)
        return b""


_Handler: TypeAlias = Callable[[UsbDevice, Setup, bytes], bytes]

_REQUESTS: Final[Mapping[tuple[int, int], _Handler]] = {
    # Of USB 2.0 table 9-3: 00 and 80 to the device, 01 and 81 its interface, 02 and 82 an endpoint.
    (0x80, 0): UsbDevice._get_status,
    (0x81, 0): UsbDevice._get_status,
    (0x82, 0): UsbDevice._get_endpoint_status,
    (0x02, 1): UsbDevice._clear_halt,
    (0x02, 3): UsbDevice._set_halt,
    (0x00, 5): UsbDevice._set_address,
    (0x80, 6): UsbDevice._get_descriptor,
    (0x81, 6): UsbDevice._get_class_descriptor,
    (0x80, 8): UsbDevice._get_configuration,
    (0x00, 9): UsbDevice._set_configuration,
    (0x81, 10): UsbDevice._get_interface,
    (0x01, 11): UsbDevice._set_interface,
    # Of HID 1.11 section 7.2, to the interface.
    (0xA1, 2): UsbDevice._get_idle,
    (0xA1, 3): UsbDevice._get_protocol,
    (0x21, 9): UsbDevice._set_report,
    (0x21, 10): UsbDevice._set_idle,
    (0x21, 11): UsbDevice._set_protocol,
}


def _require(holds: bool) -> None:
    if not holds:
        raise PipeStalled
