"""Control requests, as hosts enumerate a device and as nobody does."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mutate import fuzz_count

from fidokit.virtual.framing.usb_descriptors import (
    REPORT_DESCRIPTOR,
    UsbIdentity,
    configuration_descriptor,
    device_descriptor,
    hid_descriptor,
)
from fidokit.virtual.framing.usb_device import PipeStalled, Setup, UsbDevice

IDENTITY = UsbIdentity(0x1209, 0x0001, "fidokit virtual token", "FK0123456789")


def setup(kind: int, request: int, value: int = 0, index: int = 0, length: int = 255) -> bytes:
    return struct.pack("<BBHHH", kind, request, value, index, length)


@pytest.fixture
def device() -> UsbDevice:
    return UsbDevice(IDENTITY)


def test_a_setup_packet_is_little_endian() -> None:
    assert Setup.parse(bytes.fromhex("8006000109044000")) == Setup(0x80, 6, 0x0100, 0x0409, 64)


@pytest.mark.parametrize(
    ("packet", "answer"),
    [
        (setup(0x80, 6, 0x0100), device_descriptor(IDENTITY)),
        (setup(0x80, 6, 0x0100, length=8), device_descriptor(IDENTITY)[:8]),
        (setup(0x80, 6, 0x0200), configuration_descriptor()),
        (setup(0x80, 6, 0x0200, length=9), configuration_descriptor()[:9]),
        (setup(0x80, 6, 0x0300), bytes.fromhex("04030904")),
        (setup(0x80, 6, 0x0303, 0x0409), b"\x1a\x03" + "FK0123456789".encode("utf-16-le")),
        (setup(0x81, 6, 0x2100), hid_descriptor()),
        (setup(0x81, 6, 0x2200), REPORT_DESCRIPTOR),
        (setup(0x80, 0), b"\0\0"),
        (setup(0x81, 0), b"\0\0"),
        (setup(0x82, 0, index=0x81), b"\0\0"),
        (setup(0x82, 0, index=0), b"\0\0"),
        (setup(0x80, 8), b"\1"),
        (setup(0x81, 10), b"\0"),
        (setup(0x01, 11), b""),
        (setup(0x00, 5, 7), b""),
        (setup(0xA1, 2), b"\0"),
        (setup(0xA1, 3), b"\1"),
    ],
)
def test_what_hosts_ask(device: UsbDevice, packet: bytes, answer: bytes) -> None:
    assert device.control(packet, b"") == answer


@pytest.mark.parametrize(
    "packet",
    [
        setup(0x80, 6, 0x0600),  # device qualifier: it has no other speed
        setup(0x80, 6, 0x0F00),
        setup(0x80, 6, 0x0101),
        setup(0x80, 6, 0x0201),
        setup(0x80, 6, 0x0304),
        setup(0x81, 6, 0x2201),
        setup(0x81, 6, 0x2300),
        setup(0x81, 6, 0x2200, index=1),
        setup(0x82, 0, index=0x82),
        setup(0x00, 3, 1),  # remote wake-up
        setup(0x02, 3, 1, 0x81),
        setup(0x02, 3, 0, 0x83),
        setup(0x00, 9, 2),
        setup(0x01, 11, 1),
        setup(0x81, 10, index=1),
        setup(0xA1, 1, 0x0100),  # GET_REPORT: reports come over the interrupt endpoint
        setup(0x21, 9, 0x0300),
        setup(0x21, 11, 2),
        setup(0xC0, 0x51),
        setup(0xFF, 0xFF, 0xFFFF, 0xFFFF),
    ],
)
def test_what_it_stalls_on(device: UsbDevice, packet: bytes) -> None:
    with pytest.raises(PipeStalled):
        device.control(packet, b"")
    assert device.control(setup(0x80, 8), b"") == b"\1"


def test_configuring(device: UsbDevice) -> None:
    assert device.takes(0x81)
    assert not device.take_reset()
    device.control(setup(0x00, 9, 0), b"")
    assert device.take_reset()
    assert not device.take_reset()
    assert device.control(setup(0x80, 8), b"") == b"\0"
    assert not device.takes(0x81)
    device.control(setup(0x00, 9, 1), b"")
    assert device.take_reset()
    assert device.takes(0x81)
    assert device.takes(0x01)
    assert not device.takes(0x82)


@pytest.mark.parametrize("endpoint", [0x81, 0x01])
def test_halting_an_endpoint(device: UsbDevice, endpoint: int) -> None:
    device.control(setup(0x02, 3, 0, endpoint), b"")
    assert device.control(setup(0x82, 0, index=endpoint), b"") == b"\1\0"
    assert not device.takes(endpoint)
    assert device.takes(endpoint ^ 0x80)
    device.control(setup(0x02, 1, 0, endpoint), b"")
    assert device.takes(endpoint)
    device.control(setup(0x02, 3, 0, endpoint), b"")
    device.reset()
    assert device.takes(endpoint)


def test_idle_and_protocol_are_remembered(device: UsbDevice) -> None:
    device.control(setup(0x21, 10, 0x7D00), b"")
    device.control(setup(0x21, 11, 0), b"")
    assert device.control(setup(0xA1, 2), b"") == b"\x7d"
    assert device.control(setup(0xA1, 3), b"") == b"\0"
    device.reset()
    assert device.control(setup(0xA1, 2), b"") == b"\0"
    assert device.control(setup(0xA1, 3), b"") == b"\1"


def test_reports_may_come_over_the_control_pipe(device: UsbDevice) -> None:
    report = bytes(range(64))
    assert device.control(setup(0x21, 9, 0x0200, length=64), report) == b""
    assert device.take_reports() == [report]
    assert device.take_reports() == []
    with pytest.raises(PipeStalled):
        device.control(setup(0x21, 9, 0x0200, length=63), report[:63])
    device.control(setup(0x21, 9, 0x0200, length=64), report)
    device.reset()
    assert device.take_reports() == []


@given(st.binary(min_size=8, max_size=8), st.binary(max_size=64))
def test_any_request(packet: bytes, data: bytes) -> None:
    device = UsbDevice(IDENTITY)
    try:
        answer = device.control(packet, data)
    except PipeStalled:
        return
    assert len(answer) <= int.from_bytes(packet[6:8], "little")


def test_fuzz_requests() -> None:
    rng, device, stalled = random.Random(6), UsbDevice(IDENTITY), 0
    count = fuzz_count(3_000)
    for _ in range(count):
        kind = rng.choice((0x00, 0x01, 0x02, 0x21, 0x80, 0x81, 0x82, 0xA1))
        packet = setup(
            kind,
            rng.randrange(13),
            rng.choice((0, 1, 2, 0x100, 0x200, 0x2100, 0x2200, 0x302, rng.randrange(0x10000))),
            rng.choice((0, 0, 1, 0x81)),
            rng.choice((0, 1, 64, 255)),
        )
        try:
            device.control(packet, rng.randbytes(rng.choice((0, 1, 64))))
        except PipeStalled:
            stalled += 1
        device.take_reports()
    assert 0 < stalled < count
    assert len(device._halted) <= 2
