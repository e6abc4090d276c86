"""What a FIDO token says of its HID reports, the same on every transport that has a descriptor."""

from __future__ import annotations

from typing import Final

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
