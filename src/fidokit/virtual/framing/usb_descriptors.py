"""How a FIDO token describes itself on USB: one configuration, one HID interface, two endpoints;
and the report descriptor, which any transport that carries reports shows."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from fidokit.virtual.framing.ctaphid import REPORT_SIZE

VENDOR_ID: Final = 0x1209
PRODUCT_ID: Final = 0x0001
"""pid.codes gives this pair to whoever tests."""


USAGE_PAGE: Final = 0xF1D0
USAGE: Final = 0x01

REPORT_DESCRIPTOR: Final = bytes.fromhex(
    "06d0f1"  # usage page: FIDO Alliance
    "0901"  # usage: CTAPHID
    "a101"  # collection: application
    "0920"  # usage: data in
    "1500 26ff00 7508 9540"  # 64 fields of 8 bits, each 0 to 255
    "8102"  # input: data, variable, absolute
    "0921"  # usage: data out
    "1500 26ff00 7508 9540"
    "9102"  # output: data, variable, absolute
    "c0"  # end of the collection
)
"""Reports of 64 bytes both ways without numbers (CTAP 2.3 section 11.2.8.2; HID 1.11 6.2.2)."""


HID_CLASS: Final = 3
ENDPOINT_IN: Final = 0x81
ENDPOINT_OUT: Final = 0x01
CONFIGURATION: Final = 1

_USB_2_0: Final = 0x0200
_HID_1_11: Final = 0x0111
_CONTROL_SIZE: Final = 64
_BUS_POWERED: Final = 0x80
_MAX_POWER: Final = 15
"""In units of 2 mA."""
_INTERRUPT: Final = 3
_INTERVAL_MS: Final = 5
_US_ENGLISH: Final = 0x0409
_LONGEST_TEXT: Final = 126
"""UTF-16 units: a descriptor's length is one byte."""


class DescriptorType(IntEnum):
    """Numbers of descriptors (USB 2.0 table 9-5, HID 1.11 section 7.1)."""

    DEVICE = 1
    CONFIGURATION = 2
    STRING = 3
    INTERFACE = 4
    ENDPOINT = 5
    HID = 0x21
    REPORT = 0x22


class StringIndex(IntEnum):
    """Numbers of texts, as the device descriptor refers to them."""

    LANGUAGES = 0
    MANUFACTURER = 1
    PRODUCT = 2
    SERIAL = 3


@dataclass(frozen=True, slots=True)
class UsbIdentity:
    """Who a device is on its bus.

    Args:
        vendor_id: 0 to FFFF.
        product_id: 0 to FFFF.
        product: text; the first 126 UTF-16 units are shown, and so of the others.
        serial: text; empty for none.
        manufacturer: text.
        release: version of the device in binary-coded decimals, 0100 for 1.0.
    """

    vendor_id: int = VENDOR_ID
    product_id: int = PRODUCT_ID
    product: str = "fidokit virtual token"
    serial: str = ""
    manufacturer: str = "fidokit"
    release: int = 0x0100

    def text(self, index: int) -> str | None:
        """The text of a number of `StringIndex`; None if there is none."""
        texts: dict[int, str] = {
            StringIndex.MANUFACTURER: self.manufacturer,
            StringIndex.PRODUCT: self.product,
            StringIndex.SERIAL: self.serial,
        }
        return texts.get(index)


USUAL_IDENTITY: Final = UsbIdentity()


def device_descriptor(identity: UsbIdentity) -> bytes:
    """18 bytes, USB 2.0 table 9-8: the class is the interface's, one configuration."""
    return struct.pack(
        "<BBHBBBBHHHBBBB",
        18,
        DescriptorType.DEVICE,
        _USB_2_0,
        *(0, 0, 0, _CONTROL_SIZE),
        identity.vendor_id,
        identity.product_id,
        identity.release,
        StringIndex.MANUFACTURER,
        StringIndex.PRODUCT,
        StringIndex.SERIAL,
        1,
    )


def hid_descriptor() -> bytes:
    """9 bytes, HID 1.11 section 6.2.1: no country, one report descriptor and its size."""
    return struct.pack(
        "<BBHBBBH",
        9,
        DescriptorType.HID,
        _HID_1_11,
        *(0, 1, DescriptorType.REPORT),
        len(REPORT_DESCRIPTOR),
    )


def configuration_descriptor() -> bytes:
    """Configuration (USB 2.0 table 9-10), interface (9-12), HID, and both endpoints (9-13)."""
    interface = bytes([9, DescriptorType.INTERFACE, 0, 0, 2, HID_CLASS, 0, 0, 0])
    parts = interface + hid_descriptor() + _endpoint(ENDPOINT_IN) + _endpoint(ENDPOINT_OUT)
    head = struct.pack(
        "<BBHBBBBB",
        9,
        DescriptorType.CONFIGURATION,
        9 + len(parts),
        *(1, CONFIGURATION, 0, _BUS_POWERED, _MAX_POWER),
    )
    return head + parts


def string_descriptor(identity: UsbIdentity, index: int) -> bytes | None:
    """The text of a number (USB 2.0 section 9.6.7), or the languages; None if there is none."""
    if index == StringIndex.LANGUAGES:
        return struct.pack("<BBH", 4, DescriptorType.STRING, _US_ENGLISH)
    text = identity.text(index)
    if text is None:
        return None
    body = text.encode("utf-16-le", "replace")[: 2 * _LONGEST_TEXT]
    return bytes([2 + len(body), DescriptorType.STRING]) + body


def _endpoint(address: int) -> bytes:
    return struct.pack(
        "<BBBBHB", 7, DescriptorType.ENDPOINT, address, _INTERRUPT, REPORT_SIZE, _INTERVAL_MS
    )
