"""What the kernel's /dev/uhid is told and tells: HID devices made by a program.

Source: Linux, include/uapi/linux/uhid.h. Events are packed, in the machine's own byte order, and
may be cut behind their last field that is used when written; the kernel gives whole ones.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, TypeAlias

from fidokit.errors import MalformedFile, UsageError

EVENT_SIZE: Final = 4380
"""The largest event, bytes: what a read must have room for."""

BUS_USB: Final = 0x03

_DATA_MAX: Final = 4096
_NAME_MAX: Final = 127
_UNIQ_MAX: Final = 63

_CREATE2: Final = struct.Struct("=I128s64s64sHHIIII")
_INPUT2: Final = struct.Struct("=IH")
_OUTPUT: Final = struct.Struct(f"=I{_DATA_MAX}sHB")
_GET_REPORT: Final = struct.Struct("=IIBB")
_GET_REPORT_REPLY: Final = struct.Struct("=IIHH")
_SET_REPORT: Final = struct.Struct("=IIBBH")
_SET_REPORT_REPLY: Final = struct.Struct("=IIH")
_TYPE: Final = struct.Struct("=I")


class UhidEvent(IntEnum):
    """Kinds of events; CREATE2, DESTROY, INPUT2 and the replies go to the kernel."""

    DESTROY = 1
    START = 2
    STOP = 3
    OPEN = 4
    CLOSE = 5
    OUTPUT = 6
    GET_REPORT = 9
    GET_REPORT_REPLY = 10
    CREATE2 = 11
    INPUT2 = 12
    SET_REPORT = 13
    SET_REPORT_REPLY = 14


@dataclass(frozen=True, slots=True)
class Device:
    """What a device says of itself, as `lsusb` and /sys show it.

    Args:
        name: at most 127 bytes of UTF-8; programs show it.
        serial: at most 63 bytes; HID_UNIQ.
        path: where it is plugged in, at most 63 bytes; HID_PHYS.
        vendor_id, product_id: 16 bits each.
        descriptor: its report descriptor, at most 4096 bytes.
        version: of the device, in binary-coded decimals.
    """

    name: str
    serial: str
    path: str
    vendor_id: int
    product_id: int
    descriptor: bytes
    version: int = 0x0100

    def create(self) -> bytes:
        """The event that makes it.

        Raises:
            UsageError: a text is too long or holds NUL, or a number is too large.
        """
        for what, number in (("vendor", self.vendor_id), ("product", self.product_id)):
            if not 0 <= number <= 0xFFFF:
                raise UsageError(f"the {what} id {number:#x} has more than 16 bits")
        return (
            _CREATE2.pack(
                UhidEvent.CREATE2,
                _text("name", self.name, _NAME_MAX),
                _text("path", self.path, _UNIQ_MAX),
                _text("serial number", self.serial, _UNIQ_MAX),
                len(self.descriptor),
                BUS_USB,
                self.vendor_id,
                self.product_id,
                self.version,
                0,
            )
            + self.descriptor
        )


def _text(what: str, text: str, longest: int) -> bytes:
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > longest or not text.isprintable():
        raise UsageError(
            f"the device's {what} is longer than {longest} bytes, or cannot be printed",
            hint="choose a shorter and plainer one",
        )
    return data


def destroy() -> bytes:
    """The event that takes the device away; closing the file does, too."""
    return _TYPE.pack(UhidEvent.DESTROY)


def input2(report: bytes) -> bytes:
    """A report from the device."""
    return _INPUT2.pack(UhidEvent.INPUT2, len(report)) + report


# --- from the kernel -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Output:
    """u8[4096] data, u16 size, u8 type: a program wrote a report."""

    report: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """u32 id, u8 number, u8 type: GET_REPORT or SET_REPORT, which a FIDO token does not have.

    Args:
        refusal: the event that says so.
    """

    refusal: bytes


@dataclass(frozen=True, slots=True)
class Notice:
    """START, STOP, OPEN (the first program came) or CLOSE (the last one went)."""

    event: UhidEvent


Told: TypeAlias = Output | Question | Notice

_EIO: Final = 5


def parse(event: bytes, report_size: int) -> Told | None:
    """What the kernel tells; None for an event that is none of ours.

    Args:
        event: one read.
        report_size: bytes of the device's output reports. Programs write a number before each,
            0 for a device without numbers, and the kernel may leave it there.

    Raises:
        MalformedFile: it is cut off.
    """
    try:
        return _parse(event, report_size)
    except struct.error:
        raise MalformedFile(f"the kernel's event of {len(event)} bytes is cut off") from None


def _parse(event: bytes, report_size: int) -> Told | None:
    (kind,) = _TYPE.unpack_from(event)
    match kind:
        case UhidEvent.START | UhidEvent.STOP | UhidEvent.OPEN | UhidEvent.CLOSE:
            return Notice(UhidEvent(kind))
        case UhidEvent.OUTPUT:
            _, data, size, _ = _OUTPUT.unpack_from(event)
            return Output(_unnumbered(data[: min(size, _DATA_MAX)], report_size))
        case UhidEvent.GET_REPORT:
            _, number, _, _ = _GET_REPORT.unpack_from(event)
            return Question(_GET_REPORT_REPLY.pack(UhidEvent.GET_REPORT_REPLY, number, _EIO, 0))
        case UhidEvent.SET_REPORT:
            _, number, _, _, _ = _SET_REPORT.unpack_from(event)
            return Question(_SET_REPORT_REPLY.pack(UhidEvent.SET_REPORT_REPLY, number, _EIO))
        case _:
            return None


def _unnumbered(data: bytes, report_size: int) -> bytes:
    if len(data) == report_size + 1 and data[0] == 0:
        return data[1:]
    return data.ljust(report_size, b"\0") if len(data) < report_size else data
