"""A HID connection that hears only its own channel."""

from __future__ import annotations

import errno
import os
from typing import Final, Protocol

BROADCAST: Final = b"\xff\xff\xff\xff"


class Reports(Protocol):
    """What is asked of the connection beneath: whole HID reports."""

    def write_packet(self, data: bytes) -> None:
        """Write one report."""

    def read_packet(self) -> bytes:
        """Read one report."""

    def close(self) -> None:
        """Close the device."""


class OwnChannel:
    """Drops reports for other channels.

    Linux hands every input report to every program that has the node open, and python-fido2
    takes a report for somebody else's channel as a broken connection. Channels are in a report's
    first four bytes (CTAP 2.1 section 11.2.4).
    """

    def __init__(self, connection: Reports) -> None:
        self._connection = connection
        self._expected = b""

    def write_packet(self, data: bytes) -> None:
        """Write one report and remember its channel (for INIT: its nonce too)."""
        if data[4] & 0x80:
            self._expected = data[:4] + (data[7:15] if data[:4] == BROADCAST else b"")
        self._connection.write_packet(data)

    def read_packet(self) -> bytes:
        """The next report that is meant for us.

        Raises:
            OSError: the report is too short to be one, as after an unplugging.
        """
        while True:
            report = self._connection.read_packet()
            if len(report) < 7:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            if (report[:4] + report[7:15]).startswith(self._expected):
                return report

    def close(self) -> None:
        """Close the device."""
        self._connection.close()
