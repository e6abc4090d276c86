"""A token's one HID interface, as all programs on a bus share it: a loop around `HidDevice`; and an
opening of it for host code that deals in reports, without a kernel.

Its threads, one that works and one that watches the time, begin when there is something to do and
end themselves when there was nothing for a while, so that a port which nobody closes costs none.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, Protocol, TypeAlias, assert_never

from fidokit.errors import FidokitError, TokenGone
from fidokit.types import CtapStatus
from fidokit.virtual.core.profile import HidManners
from fidokit.virtual.framing.ctaphid import REPORT_SIZE, HidCommand, Message
from fidokit.virtual.framing.ctaphid_device import Action, Cancel, HidDevice, RunCommand
from fidokit.virtual.transports.memory import TokenChannel, alone

LINGER_S: Final = 1.0
"""How long an idle thread waits for more; commands of one program come closer together."""


def now_ms() -> int:
    """Milliseconds of a clock that never goes back."""
    return time.monotonic_ns() // 1_000_000


class JobThread:
    """Runs one job at a time, as a token does.

    Args:
        linger_s: seconds after which an idle thread ends.
    """

    def __init__(self, linger_s: float = LINGER_S) -> None:
        self._linger_s = linger_s
        self._changed = threading.Condition()
        self._next: Callable[[], None] | None = None
        self._alive = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job when the one before it has ended; one that still waits is dropped for it."""
        with self._changed:
            self._next = job
            if not self._alive:
                self._alive = True
                threading.Thread(target=self._work, daemon=True).start()
            self._changed.notify()

    def _work(self) -> None:
        while job := self._wait():
            with alone("work of the virtual token"):
                job()

    def _wait(self) -> Callable[[], None] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._next is not None, self._linger_s)
            job, self._next = self._next, None
            self._alive = job is not None
            return job


class Alarm(Protocol):
    """Calls somebody at a time; tests have one whose time they move."""

    def now_ms(self) -> int:
        """The time, in milliseconds of a clock that never goes back."""
        ...

    def set(self, deadline_ms: int | None) -> None:
        """Ring at this time, and no longer at the one before; None for not at all."""
        ...


class ThreadAlarm:
    """An alarm that rings in a thread of its own.

    Args:
        ring: called at the deadline, and once too often where a deadline was moved.
        linger_s: seconds after which an idle thread ends.
    """

    def __init__(self, ring: Callable[[], None], linger_s: float = LINGER_S) -> None:
        self._ring = ring
        self._linger_s = linger_s
        self._changed = threading.Condition()
        self._deadline_ms: int | None = None
        self._sleeps_until_ms = 0
        self._alive = False

    def now_ms(self) -> int:
        """Milliseconds of a clock that never goes back."""
        return now_ms()

    def set(self, deadline_ms: int | None) -> None:
        """Ring at this time, and no longer at the one before; None for not at all."""
        with self._changed:
            self._deadline_ms = deadline_ms
            if deadline_ms is None:
                return
            if not self._alive:
                self._alive = True
                threading.Thread(target=self._watch, daemon=True).start()
            elif deadline_ms < self._sleeps_until_ms:
                self._changed.notify()  # a later one is seen when it wakes up anyway

    def _watch(self) -> None:
        while self._wait():
            with alone("an alarm of the virtual token"):
                self._ring()

    def _wait(self) -> bool:
        """True at a deadline; False when there was none for a while."""
        with self._changed:
            idle_until_ms = now_ms() + int(1000 * self._linger_s)
            while True:
                now, deadline = now_ms(), self._deadline_ms
                if deadline is not None and now >= deadline:
                    self._deadline_ms = None
                    return True
                if deadline is None and now >= idle_until_ms:
                    self._alive = False
                    return False
                self._sleeps_until_ms = idle_until_ms if deadline is None else deadline
                self._changed.wait((self._sleeps_until_ms - now) / 1000)


MOST_LINKS: Final = 32
"""Channels that the token remembers apart; who comes after gets the place of the longest silent."""

_CANCELED: Final = bytes([CtapStatus.KEEPALIVE_CANCEL])


class HidToken(Protocol):
    """The token behind the interface."""

    @property
    def capabilities(self) -> int:
        """CTAPHID's bits: WINK 01, CBOR 04, NMSG 08."""
        ...

    @property
    def manners(self) -> HidManners:
        """Where tokens disagree in CTAPHID."""
        ...

    @property
    def plugged_in(self) -> bool:
        """Whether it has power."""
        ...

    @property
    def silent(self) -> bool:
        """Whether it stalls so hard that not even keep-alives are to come."""
        ...

    def link(self) -> TokenChannel:
        """A new channel to the token."""
        ...


@dataclass(slots=True)
class _Job:
    command: RunCommand
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
        token: HidToken,
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
        self._device = HidDevice(token.capabilities, manners=token.manners)
        self._alarm = alarm(self._tick)
        self._worker = JobThread()
        self._turn = threading.Lock()
        self._sending = threading.Lock()
        self._outbox: deque[bytes] = deque()
        self._links: OrderedDict[int, TokenChannel] = OrderedDict()
        self._job: _Job | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing will be sent any longer."""
        return self._closed

    def receive(self, report: bytes) -> None:
        """Take a report from the host; never waits for a command.

        Args:
            report: 64 bytes; anything else is not a report and is not heard.
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
            case RunCommand():
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
        reply: bytes | None = None
        try:
            with alone("a command on USB", FidokitError):
                reply = _CANCELED if job.canceled else self._answer(job)
        except FidokitError as error:
            self._fail(ticket, error)
        else:
            self._do(lambda: self._settled(ticket, reply))

    def _settled(self, ticket: int, reply: bytes | None) -> list[Action]:
        """Without a reply there was a defect of ours, which the log has."""
        if reply is None:
            return self._device.fail(ticket, CtapStatus.OTHER)
        return self._device.finish(ticket, reply)

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

    def _link(self, channel: int) -> TokenChannel:
        with self._turn:
            if channel in self._links:
                self._links.move_to_end(channel)
                return self._links[channel]
        made = self._token.link()
        superfluous = self._keep(channel, made)
        if superfluous is not None:
            superfluous.close()
        return made

    def _keep(self, channel: int, link: TokenChannel) -> TokenChannel | None:
        """What is to be closed: the link that was used longest ago, or this one."""
        with self._turn:
            if self._closed:
                return link
            self._links[channel] = link
            return self._links.popitem(last=False)[1] if len(self._links) > MOST_LINKS else None


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

    def __init__(self, token: HidToken, silence_s: float = SILENCE_S) -> None:
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
