"""A token behind a stand-in for the kernel's /dev/uhid; tests/kernel has the real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fido2.ctap import CtapError
from fido2.ctap2 import Ctap2
from fido2.hid import CtapHidDevice
from fido2.hid.base import CtapHidConnection, HidDescriptor
from tests.support.uhid_kernel import UhidKernel

from fidokit.errors import FidokitError, NoPermission, Unsupported, UsageError
from fidokit.virtual.framing.ctaphid import BROADCAST, HidCommand, Message
from fidokit.virtual.framing.uhid import UhidEvent
from fidokit.virtual.framing.usb_descriptors import REPORT_DESCRIPTOR, UsbIdentity
from fidokit.virtual.token import VirtualToken
from fidokit.virtual.transports.uhid import UhidDevice, open_node


class Program(CtapHidConnection):
    """python-fido2's end of the device's node."""

    def __init__(self, kernel: UhidKernel, *, numbered: bool = True) -> None:
        self.kernel = kernel
        self.number = b"\0" if numbered else b""

    def write_packet(self, data: bytes) -> None:
        self.kernel.output(self.number + data)

    def read_packet(self) -> bytes:
        return self.kernel.report()

    def close(self) -> None:
        self.kernel.tell(UhidEvent.CLOSE)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[UhidKernel]:
    made = UhidKernel(tmp_path)
    yield made
    made.close()


@pytest.fixture
def ends() -> list[FidokitError]:
    """Why the device ended, where nobody closed it."""
    return []


@pytest.fixture
def token() -> Iterator[VirtualToken]:
    with VirtualToken(presence="script") as made:
        yield made


@pytest.fixture
def device(
    kernel: UhidKernel, token: VirtualToken, tmp_path: Path, ends: list[FidokitError]
) -> Iterator[UhidDevice]:
    made = UhidDevice(
        token,
        UsbIdentity(0x1050, 0x0407, "A Key", "12345"),
        ended=ends.append,
        sysfs=tmp_path,
        opened=kernel.open_node,
    )
    yield made
    made.close()


def program(kernel: UhidKernel, *, numbered: bool = True) -> CtapHidDevice:
    kernel.tell(UhidEvent.OPEN)
    descriptor = HidDescriptor("/dev/hidraw7", 0x1050, 0x0407, 64, 64, "A Key", "12345")
    return CtapHidDevice(descriptor, Program(kernel, numbered=numbered))


def test_the_kernel_is_told_what_the_plug_says(kernel: UhidKernel, device: UhidDevice) -> None:
    made = kernel.create()
    assert (made.name, made.uniq) == ("A Key", "12345")
    assert (made.bus, made.vendor, made.product) == (3, 0x1050, 0x0407)
    assert made.descriptor == REPORT_DESCRIPTOR


def test_its_node_is_found_by_its_path(kernel: UhidKernel, device: UhidDevice) -> None:
    kernel.create()
    assert device.node == Path("/dev/hidraw7")


@pytest.mark.parametrize("numbered", [True, False])
def test_program_after_program(kernel: UhidKernel, device: UhidDevice, numbered: bool) -> None:
    kernel.create()
    for _ in range(3):
        opened = program(kernel, numbered=numbered)
        assert "FIDO_2_3" in Ctap2(opened).get_info().versions
        opened.close()


def test_a_program_that_went_leaves_no_command_behind(
    kernel: UhidKernel, device: UhidDevice, token: VirtualToken
) -> None:
    kernel.create()
    kernel.tell(UhidEvent.OPEN)
    for report in Message(BROADCAST, HidCommand.INIT, b"01234567").reports():
        kernel.output(b"\0" + report)
    channel = int.from_bytes(kernel.report()[15:19])
    for report in Message(channel, HidCommand.CBOR, b"\x0b").reports():  # selection
        kernel.output(b"\0" + report)
    assert kernel.report()[4] == 0x80 | HidCommand.KEEPALIVE
    kernel.tell(UhidEvent.CLOSE)
    later = Ctap2(program(kernel))  # a device that waits would say that it is busy
    token.touch()
    later.selection()


def test_questions_of_the_kernel_are_refused(kernel: UhidKernel, device: UhidDevice) -> None:
    kernel.create()
    kernel.tell(UhidEvent.GET_REPORT, b"\x09\0\0\0\0\x01")
    assert kernel.event() == (UhidEvent.GET_REPORT_REPLY, b"\x09\0\0\0\x05\0\0\0")


def test_closing_takes_it_away(
    kernel: UhidKernel, device: UhidDevice, ends: list[FidokitError]
) -> None:
    kernel.create()
    assert device.node  # all that the kernel said is read
    device.close()
    device.close()
    assert kernel.event() == (UhidEvent.DESTROY, b"")
    assert kernel.event() == (0, b"")
    assert ends == []


def test_an_unplugged_token_takes_it_along(
    kernel: UhidKernel, device: UhidDevice, token: VirtualToken, ends: list[FidokitError]
) -> None:
    kernel.create()
    opened = program(kernel)
    token.unplug()
    with pytest.raises((OSError, CtapError, AssertionError)):
        Ctap2(opened)
    device.close()
    assert [error.message for error in ends] == ["the virtual token was unplugged"]


def test_a_kernel_that_gives_up_is_told_of(
    kernel: UhidKernel, device: UhidDevice, ends: list[FidokitError]
) -> None:
    kernel.create()
    kernel.tell(UhidEvent.OUTPUT, b"cut off")
    device._thread.join(10)
    assert len(ends) == 1
    device.close()


def test_a_kernel_that_makes_nothing_names_no_node(
    kernel: UhidKernel, device: UhidDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fidokit.virtual.transports.uhid.STARTED_S", 0.01)
    assert device.node is None


def test_bad_names_open_nothing(token: VirtualToken) -> None:
    def never() -> int:
        raise AssertionError("opened")

    with pytest.raises(UsageError):
        UhidDevice(token, UsbIdentity(product="x" * 200), opened=never)


def test_without_uhid(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="has no"):
        open_node(tmp_path / "uhid")
    with pytest.raises(Unsupported):
        open_node(tmp_path)


def test_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:  # root, as whom tests may run, is refused nothing
        raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(os, "open", refused)
    with pytest.raises(NoPermission, match="may not open"):
        open_node(tmp_path / "uhid")
