"""A token's one HID interface, as all programs on a bus share it: a loop around `HidDevice`."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, assert_never

from fidokit.errors import FidokitError
from fidokit.types import CtapStatus
from fidokit.virtual.framing.ctaphid import REPORT_SIZE, HidCommand, Message
from fidokit.virtual.framing.ctaphid_device import Action, Cancel, Command, HidDevice
from fidokit.virtual.transports.background import Alarm, ThreadAlarm, Worker
from fidokit.virtual.transports.links import Link

MOST_LINKS: Final = 32
"""Channels that the token remembers apart; who comes after gets the place of the longest silent."""

_CANCELED: Final = bytes([CtapStatus.KEEPALIVE_CANCEL])


class Pluggable(Protocol):
    """The token behind the interface."""

    @property
    def capabilities(self) -> int:
        """CTAPHID's bits: WINK 01, CBOR 04, NMSG 08."""
        ...

    @property
    def plugged_in(self) -> bool:
        """Whether it has power."""
        ...

    @property
    def silent(self) -> bool:
        """Whether it stalls so hard that not even keep-alives are to come."""
        ...

    def link(self) -> Link:
        """A new channel."""
        ...


@dataclass(slots=True)
class _Job:
    command: Command
    canceled: bool = False


class HidPort:
    """Reports in by `receive`, reports out by `send`; commands run in a thread of their own.

    Safe to use from any thread. A token that is unplugged ends the port: nothing is sent from then
    on.

    Args:
        token: what answers.
        send: takes a report of 64 bytes, from any thread, one at a time and in order. It must not
            raise; it may call `receive`.
        failed: told of what the token could not go on with, in place of the host, who then hears
            nothing; without it the host gets the error OTHER (7F).
        ended: called once when the port ended because the token was unplugged.
        alarm: makes the clock, from what it is to call; for tests.
    """

    def __init__(
        self,
        token: Pluggable,
        send: Callable[[bytes], None],
        *,
        failed: Callable[[FidokitError], None] | None = None,
        ended: Callable[[], None] | None = None,
        alarm: Callable[[Callable[[], None]], Alarm] = ThreadAlarm,
    ) -> None:
        self._token = token
        self._send = send
        self._told_of_failures = failed
        self._told_of_end = ended
        self._device = HidDevice(token.capabilities)
        self._alarm = alarm(self._tick)
        self._worker = Worker()
        self._turn = threading.Lock()
        self._sending = threading.Lock()
        self._outbox: deque[bytes] = deque()
        self._links: OrderedDict[int, Link] = OrderedDict()
        self._job: _Job | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing will be sent any longer."""
        return self._closed

    def receive(self, report: bytes) -> None:
        """Take a report from the host; never waits for a command.

        Args:
            report: 64 bytes; anything else is no report and is not heard.
        """
        if not self._token.plugged_in:
            self._end()
        elif len(report) == REPORT_SIZE:
            self._do(lambda: self._device.receive(report, self._alarm.now_ms()))

    def reset(self) -> None:
        """Forget what is going on, as a bus reset does; channels stay valid."""
        with self._turn:
            self._outbox.clear()
        self._do(self._device.reset)

    def close(self) -> None:
        """End what runs and give the token's channels back; harmless when repeated."""
        self._close()

    def _end(self) -> None:
        if self._close() and self._told_of_end is not None:
            self._told_of_end()

    def _close(self) -> bool:
        """Whether it was open."""
        with self._turn:
            was_open, self._closed = not self._closed, True
            self._outbox.clear()
            self._device.reset()
            self._alarm.set(None)
            if self._job is not None:
                self._job.canceled = True
            links = list(self._links.values())
            self._links.clear()
        for link in links:
            link.close()
        return was_open

    # --- what the machine says -------------------------------------------------------------------

    def _do(self, step: Callable[[], list[Action]]) -> None:
        with self._turn:
            if self._closed:
                return
            for action in step():
                self._act(action)
            self._alarm.set(self._device.deadline_ms)
        self._flush()

    def _act(self, action: Action) -> None:
        match action:
            case Message():
                if action.command != HidCommand.KEEPALIVE or not self._token.silent:
                    self._outbox.extend(action.reports())
            case Command():
                self._job = _Job(action)
                self._worker.submit(partial(self._run, self._job))
            case Cancel(ticket):
                if self._job is not None and self._job.command.ticket == ticket:
                    self._job.canceled = True
            case _:
                assert_never(action)

    def _flush(self) -> None:
        # Whoever sends already sends this, too; what comes after its last look is seen here.
        while self._outbox and self._sending.acquire(blocking=False):
            try:
                while report := self._next():
                    self._send(report)
            finally:
                self._sending.release()

    def _next(self) -> bytes | None:
        with self._turn:
            return self._outbox.popleft() if self._outbox else None

    def _tick(self) -> None:
        self._do(lambda: self._device.tick(self._alarm.now_ms()))

    # --- the token's work ------------------------------------------------------------------------

    def _run(self, job: _Job) -> None:
        ticket = job.command.ticket
        try:
            reply = _CANCELED if job.canceled else self._answer(job)
        except FidokitError as error:
            self._fail(ticket, error)
        except BaseException:
            self._do(lambda: self._device.fail(ticket, CtapStatus.OTHER))
            raise
        else:
            self._do(lambda: self._device.finish(ticket, reply))

    def _answer(self, job: _Job) -> bytes:
        command = job.command
        link = self._link(command.channel)
        if command.command is HidCommand.CBOR:
            told = partial(self._keepalive, command.ticket)
            return link.cbor(command.payload, told, lambda: job.canceled)
        if command.command is HidCommand.MSG:
            return link.msg(command.payload)
        link.wink()
        return b""

    def _keepalive(self, ticket: int, status: int) -> None:
        self._do(lambda: self._device.working(ticket, status, self._alarm.now_ms()))

    def _fail(self, ticket: int, error: FidokitError) -> None:
        tell, gone = self._told_of_failures, not self._token.plugged_in
        status = None if tell or gone else CtapStatus.OTHER
        with self._turn:
            wanted = self._device.wants(ticket)
        self._do(lambda: self._device.fail(ticket, status))
        if tell is not None and wanted:
            tell(error)
        if gone:
            self._end()

    def _link(self, channel: int) -> Link:
        with self._turn:
            if channel in self._links:
                self._links.move_to_end(channel)
                return self._links[channel]
        made = self._token.link()
        superfluous = self._keep(channel, made)
        if superfluous is not None:
            superfluous.close()
        return made

    def _keep(self, channel: int, link: Link) -> Link | None:
        """What is to be closed: the link that was used longest ago, or this one."""
        with self._turn:
            if self._closed:
                return link
            self._links[channel] = link
            return self._links.popitem(last=False)[1] if len(self._links) > MOST_LINKS else None
