"""CTAP2 command bytes that the client side sends (CTAP 2.3 section 6)."""

from __future__ import annotations

from typing import Final

MAKE_CREDENTIAL: Final = 0x01
GET_ASSERTION: Final = 0x02
GET_INFO: Final = 0x04
CLIENT_PIN: Final = 0x06
RESET: Final = 0x07
GET_NEXT_ASSERTION: Final = 0x08
BIO_ENROLLMENT: Final = 0x09
CREDENTIAL_MANAGEMENT: Final = 0x0A
SELECTION: Final = 0x0B
LARGE_BLOBS: Final = 0x0C
CONFIG: Final = 0x0D
BIO_ENROLLMENT_PREVIEW: Final = 0x40
CREDENTIAL_MANAGEMENT_PREVIEW: Final = 0x41
