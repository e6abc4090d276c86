"""A virtual token as an opened HID device, for host code that deals in reports: no kernel."""

from __future__ import annotations

import errno
import os
from queue import Empty, SimpleQueue
from typing import Final, TypeAlias

from fidokit.errors import FidokitError, TokenGone
from fidokit.virtual.framing.ctaphid import REPORT_SIZE
from fidokit.virtual.transports.hid_port import HidPort, Pluggable

SILENCE_S: Final = 60.0
"""How long a read waits for a report before it takes the token for dead."""

_Reports: TypeAlias = SimpleQueue["bytes | FidokitError | OSError"]


class HidConnection:
    """One opening of a token's HID device: reports are written and read, as with a device node.

    Each opening is a port of its own, so two programs never see each other's reports nor channels.
    Vanished tokens look as they do on Linux: OSError with EIO.

    Args:
        token: the other end.
        silence_s: seconds that a read waits at most; TimeoutError then.
    """

    def __init__(self, token: Pluggable, silence_s: float = SILENCE_S) -> None:
        self._token = token
        self._silence_s = silence_s
        self._closed = False
        self._reports: _Reports = SimpleQueue()
        self._port = HidPort(token, self._reports.put, failed=self._reports.put)

    def write_packet(self, data: bytes) -> None:
        """Write one report.

        Args:
            data: 64 bytes, without a report number before them.

        Raises:
            OSError: EINVAL, a report of another size; EIO, the token is gone; EBADF, closed.
        """
        self._require_open()
        if len(data) != REPORT_SIZE:
            raise OSError(errno.EINVAL, f"a report has {REPORT_SIZE} bytes, not {len(data)}")
        if not self._token.plugged_in:
            raise _gone()
        self._port.receive(data)

    def read_packet(self) -> bytes:
        """Read one report of 64 bytes, waiting for it.

        Raises:
            OSError: EIO, the token is gone; EBADF, closed.
            TimeoutError: none came.
            FidokitError: what the token could not go on with.
        """
        self._require_open()
        try:
            report = self._reports.get(timeout=self._silence_s)
        except Empty:
            raise TimeoutError(
                errno.ETIMEDOUT, f"the virtual token sent nothing for {self._silence_s:g} s"
            ) from None
        if isinstance(report, bytes):
            return report
        raise _gone() if isinstance(report, TokenGone) else report

    def close(self) -> None:
        """End what runs and give the channels back; harmless when repeated."""
        if not self._closed:
            self._closed = True
            self._port.close()
            self._reports.put(_closed())

    def _require_open(self) -> None:
        if self._closed:
            raise _closed()


def _gone() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


def _closed() -> OSError:
    return OSError(errno.EBADF, os.strerror(errno.EBADF))
