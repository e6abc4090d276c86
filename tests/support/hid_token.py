"""A token at the far end of HID reports: just enough CTAPHID to put python-fido2 to the test."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from fidokit.client.ports import Link

CHANNEL = b"\x11\x22\x33\x44"
PING, MSG, INIT, WINK, CBOR, CANCEL, KEEPALIVE, ERROR = 1, 3, 6, 8, 0x10, 0x11, 0x3B, 0x3F


class HidToken:
    """Reports in, reports out, over a `Link` (CTAP 2.1 section 11.2).

    Args:
        link: what answers whole messages.
        capabilities: of the INIT answer.
        noise: reports for other channels that precede each of ours.
        busy: how many messages are answered with CHANNEL_BUSY first.
        mute: called in place of answering anything at all.
    """

    def __init__(
        self,
        link: Link,
        *,
        capabilities: int = 5,
        noise: tuple[bytes, ...] = (),
        busy: int = 0,
        mute: Callable[[], None] | None = None,
    ) -> None:
        self._link = link
        self._capabilities = capabilities
        self._noise = noise
        self._busy = busy
        self._mute = mute
        self._out: deque[bytes] = deque()
        self._ready = threading.Semaphore(0)
        self._command, self._want, self._data = 0, 0, b""
        self.canceled = False
        self.closed = False

    # --- the connection that python-fido2 sees -------------------------------------------------

    def write_packet(self, data: bytes) -> None:
        if data[4] & 0x80:
            self._command, self._want = data[4] & 0x7F, int.from_bytes(data[5:7], "big")
            self._data = data[7:]
        else:
            self._data += data[5:]
        if self._command == CANCEL:
            self.canceled = True
        elif len(self._data) >= self._want:
            self._run(self._data[: self._want])

    def read_packet(self) -> bytes:
        self._ready.acquire()
        return self._out.popleft()

    def close(self) -> None:
        self.closed = True

    # --- the token -------------------------------------------------------------------------------

    def _run(self, message: bytes) -> None:
        if self._mute is not None:
            self._mute()
            return
        if self._command == INIT:
            body = message + CHANNEL + bytes([2, 1, 2, 3, self._capabilities])
            self._send(b"\xff" * 4, INIT, body)
        elif self._busy:
            self._busy -= 1
            self._send(CHANNEL, ERROR, b"\x06")
        elif self._command == CBOR:
            self._send(CHANNEL, CBOR, self._link.cbor(message, self._keepalive, self._stopped))
        elif self._command == MSG:
            self._send(CHANNEL, MSG, self._link.msg(message))
        elif self._command == WINK:
            self._link.wink()
            self._send(CHANNEL, WINK, b"")

    def _keepalive(self, status: int) -> None:
        self._send(CHANNEL, KEEPALIVE, bytes([status]))

    def _stopped(self) -> bool:
        return self.canceled

    def _send(self, channel: bytes, command: int, body: bytes) -> None:
        head = bytes([0x80 | command]) + len(body).to_bytes(2, "big")
        chunks = [head + body[:57]]
        chunks += [
            bytes([number]) + body[at : at + 59]
            for number, at in enumerate(range(57, len(body), 59))
        ]
        for report in (*self._noise, *(channel + chunk for chunk in chunks)):
            self._out.append(report.ljust(64, b"\0"))
            self._ready.release()
