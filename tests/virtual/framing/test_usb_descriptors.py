"""How a token describes itself on USB and in its report descriptor."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidokit.virtual.framing.ctaphid import REPORT_SIZE
from fidokit.virtual.framing.usb_descriptors import (
    REPORT_DESCRIPTOR,
    USAGE,
    USAGE_PAGE,
    UsbIdentity,
    configuration_descriptor,
    device_descriptor,
    hid_descriptor,
    string_descriptor,
)


def items(descriptor: bytes) -> Iterator[tuple[int, int]]:
    """Tag with type, and value, of short items."""
    at = 0
    while at < len(descriptor):
        prefix = descriptor[at]
        size = (0, 1, 2, 4)[prefix & 3]
        data = descriptor[at + 1 : at + 1 + size]
        assert len(data) == size
        yield prefix & ~3, int.from_bytes(data, "little")
        at += 1 + size


@pytest.mark.check("HID-28")
def test_one_collection_of_the_fido_usage() -> None:
    found = list(items(REPORT_DESCRIPTOR))
    assert found[:3] == [(0x04, USAGE_PAGE), (0x08, USAGE), (0xA0, 1)]
    assert (USAGE_PAGE, USAGE) == (0xF1D0, 0x01)
    assert found[-1] == (0xC0, 0)
    assert [tag for tag, _ in found].count(0xA0) == 1


@pytest.mark.check("HID-28")
@pytest.mark.parametrize("main", [0x80, 0x90])  # input, output
def test_reports_of_64_bytes_without_a_number(main: int) -> None:
    bits: dict[int, int] = {}
    sizes: dict[int, int] = {}
    for tag, value in items(REPORT_DESCRIPTOR):
        bits[tag] = value
        if tag in {0x80, 0x90}:
            assert value == 2  # data, variable, absolute
            sizes[tag] = bits[0x74] * bits[0x94]
    assert sizes[main] == 8 * REPORT_SIZE
    assert 0x84 not in bits  # no report ids: hosts would put one before each report


IDENTITY = UsbIdentity(0x1209, 0x0001, "fidokit virtual token", "FK0123456789")


def walk(descriptors: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(descriptors):
        size = descriptors[at]
        assert size >= 2
        assert at + size <= len(descriptors)
        yield descriptors[at : at + size]
        at += size


def test_the_device() -> None:
    assert device_descriptor(IDENTITY) == bytes.fromhex(
        "12 01 0002 00 00 00 40 0912 0100 0001 01 02 03 01"
    )


def test_the_configuration_and_what_is_in_it() -> None:
    whole = configuration_descriptor()
    configuration, interface, hid, inward, outward = walk(whole)
    assert configuration[:4] == b"\x09\x02" + struct.pack("<H", len(whole))
    assert configuration[4:6] == b"\x01\x01"  # one interface, configuration 1
    assert configuration[7] & 0x80
    assert interface == bytes([9, 4, 0, 0, 2, 3, 0, 0, 0])  # two endpoints, class HID
    assert hid == hid_descriptor()
    assert inward == bytes([7, 5, 0x81, 3, 64, 0, 5])
    assert outward == bytes([7, 5, 0x01, 3, 64, 0, 5])


def test_hid_says_how_long_the_report_descriptor_is() -> None:
    assert hid_descriptor() == bytes.fromhex("09 21 1101 00 01 22") + struct.pack(
        "<H", len(REPORT_DESCRIPTOR)
    )


def test_texts() -> None:
    assert string_descriptor(IDENTITY, 0) == bytes.fromhex("04 03 0904")
    expected = {1: "fidokit", 2: IDENTITY.product, 3: IDENTITY.serial}
    for index, text in expected.items():
        found = string_descriptor(IDENTITY, index)
        assert found is not None
        assert (found[0], found[1]) == (len(found), 3)
        assert found[2:].decode("utf-16-le") == text


@pytest.mark.parametrize("index", [4, 0xEE, 0xFF])
def test_texts_that_are_not_there(index: int) -> None:
    assert string_descriptor(IDENTITY, index) is None


@given(st.text(alphabet=st.characters(), max_size=300))
def test_any_text_makes_a_descriptor(text: str) -> None:
    found = string_descriptor(UsbIdentity(1, 2, text, text), 2)
    assert found is not None
    assert found[0] == len(found) <= 254
    assert text.encode("utf-16-le", "replace").startswith(found[2:])


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_any_numbers(vendor: int, product: int) -> None:
    found = device_descriptor(UsbIdentity(vendor, product, "", ""))
    assert struct.unpack_from("<HH", found, 8) == (vendor, product)
