"""The descriptor, read item by item as a host does (HID 1.11 section 6.2.2.2)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fidokit.virtual.framing.ctaphid import REPORT_SIZE
from fidokit.virtual.framing.report_descriptor import REPORT_DESCRIPTOR, USAGE, USAGE_PAGE


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
