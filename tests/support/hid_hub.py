"""Openings of one token's shared HID interface, each with the reports that are meant for it.

A kernel gives every report to every opening. Stock host code does not expect that (python-fido2
and libfido2 1.12 take a report of another channel for an error; libfido2 locks the device node so
that it need not), so reports go to the opening that wrote on their channel last.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue

from fidokit.virtual.transports.reports import HidPort, HidToken

PATIENCE_S = 20.0


class Opening:
    """One program's end."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self.reports: SimpleQueue[bytes] = SimpleQueue()

    def write_packet(self, data: bytes) -> None:
        """Write a report of 64 bytes."""
        self._hub.owners[data[:4]] = self
        self._hub.port.receive(data)

    def read_packet(self) -> bytes:
        """Read the next report."""
        return self.reports.get(timeout=PATIENCE_S)

    def poll(self, milliseconds: int) -> bytes | None:
        """The next report within so long; negative for patience."""
        try:
            return self.reports.get(timeout=PATIENCE_S if milliseconds < 0 else milliseconds / 1000)
        except Empty:
            return None

    def close(self) -> None:
        """Nothing is held open."""


class Hub:
    """The interface.

    Args:
        token: behind it.
    """

    def __init__(self, token: HidToken) -> None:
        self.owners: dict[bytes, Opening] = {}
        self.port = HidPort(token, self._route)

    def open(self) -> Opening:
        """Another program opens the device."""
        return Opening(self)

    def _route(self, report: bytes) -> None:
        self.owners[report[:4]].reports.put(report)
