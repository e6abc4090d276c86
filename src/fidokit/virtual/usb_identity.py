"""What the plug of a USB token says: numbers and texts that `lsusb` shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

VENDOR_ID: Final = 0x1209
PRODUCT_ID: Final = 0x0001
"""pid.codes gives this pair to whoever tests."""


@dataclass(frozen=True, slots=True)
class Plug:
    """A USB device's own description.

    Args:
        vendor_id, product_id: 16 bits each.
        product: its name.
        serial: its serial number; empty for none.
    """

    vendor_id: int = VENDOR_ID
    product_id: int = PRODUCT_ID
    product: str = "fidokit virtual token"
    serial: str = ""


USUAL: Final = Plug()
