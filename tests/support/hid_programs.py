"""Programs at a token's shared HID interface, and a clock that a test moves."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from fidokit.virtual.framing.ctaphid import BROADCAST, Assembler, HidCommand, Message
from fidokit.virtual.transports.reports import HidPort, HidToken

PATIENCE_S = 20.0


class ManualAlarm:
    """Rings when the test says that the time has come."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._now_ms = 0
        self.deadline_ms: int | None = None

    def now_ms(self) -> int:
        return self._now_ms

    def set(self, deadline_ms: int | None) -> None:
        self.deadline_ms = deadline_ms

    def advance(self, milliseconds: int) -> None:
        self._now_ms += milliseconds
        if self.deadline_ms is not None and self._now_ms >= self.deadline_ms:
            self._ring()


class Bus:
    """A port and whoever reads it: every program sees every report.

    Args:
        token: behind the port.
        manual: whether time is the test's.
    """

    def __init__(self, token: HidToken, *, manual: bool = False) -> None:
        self._reports: SimpleQueue[bytes] = SimpleQueue()
        self._assembler = Assembler()
        self._messages: deque[Message] = deque()
        self.ends = 0
        self.alarms: list[ManualAlarm] = []
        extra: dict[str, Any] = {"alarm": self._alarm} if manual else {}
        self.port = HidPort(token, self._reports.put, ended=self._ended, **extra)

    def _alarm(self, ring: Callable[[], None]) -> ManualAlarm:
        self.alarms.append(ManualAlarm(ring))
        return self.alarms[0]

    def _ended(self) -> None:
        self.ends += 1

    def advance(self, milliseconds: int) -> None:
        self.alarms[0].advance(milliseconds)

    @property
    def quiet(self) -> bool:
        return self._reports.empty()

    def write(self, message: Message) -> None:
        for report in message.reports():
            self.port.receive(report)

    def read(self) -> Message:
        """The next message, whoever it is for."""
        while True:
            message = self._assembler.feed(self._reports.get(timeout=PATIENCE_S))
            if message is not None:
                return message

    def answer(self) -> Message:
        """The next message that is not a keep-alive."""
        while (message := self.read()).command == HidCommand.KEEPALIVE:
            pass
        return message

    def ask(self, message: Message) -> Message:
        self.write(message)
        return self.answer()

    def channel(self) -> int:
        reply = self.ask(Message(BROADCAST, HidCommand.INIT, bytes(8)))
        return int.from_bytes(reply.payload[8:12])
